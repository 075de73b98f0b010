"""Cnn14 with decisions for every segment (Kong et al., 2020, PANNs), in evaluation alone.

Layers have the names that they have in the published checkpoints.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from rl_postproc.sources.recordings import EXTRA
from rl_postproc.utils.errors import UserError

RATE, WINDOW, HOP = 32_000, 1024, 320
"""Samples a second, and of a window and of the step from one to the next."""
N_MELS, LOWEST, HIGHEST = 64, 50, 14_000
SEGMENT = 32
"""Spectrogram frames that become one segment, by five poolings of two."""
REACH = 5
"""Segments on each side within which lies every spectrogram frame that a segment depends on.

Convolutions of the last block and the smoothing after it reach three segments far, the five blocks before them another 62
frames: 158 frames in all.
"""
N_CLASSES = 527


class DecisionLevelCnn14(nn.Module):
    """What Cnn14_DecisionLevelMax and Cnn14_DecisionLevelAtt share: all but the last layer.

    Its parameters are without values until a checkpoint's are assigned.

    Raises:
        UserError: torchlibrosa is not installed.
    """

    published_name: str

    def __init__(self) -> None:
        super().__init__()
        try:
            from torchlibrosa.stft import LogmelFilterBank, Spectrogram
        except ImportError as error:
            raise UserError(f"PANNs needs torchlibrosa ({error}); install it: {EXTRA}.") from error
        # What `center` would add at both ends comes with the samples, which may be a part of a recording.
        self.spectrogram_extractor = Spectrogram(
            n_fft=WINDOW, hop_length=HOP, win_length=WINDOW, window="hann", center=False, freeze_parameters=True
        )
        unlimited: Any = None
        self.logmel_extractor = LogmelFilterBank(
            sr=RATE, n_fft=WINDOW, n_mels=N_MELS, fmin=LOWEST, fmax=HIGHEST, ref=1.0, amin=1e-10, top_db=unlimited,
            freeze_parameters=True,
        )  # fmt: skip
        with torch.device("meta"):
            self.bn0 = nn.BatchNorm2d(N_MELS)
            self.conv_block1 = ConvBlock(1, 64)
            self.conv_block2 = ConvBlock(64, 128)
            self.conv_block3 = ConvBlock(128, 256)
            self.conv_block4 = ConvBlock(256, 512)
            self.conv_block5 = ConvBlock(512, 1024)
            self.conv_block6 = ConvBlock(1024, 2048)
            self.fc1 = nn.Linear(2048, 2048)
            self._add_head()
        self.eval()

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Computes the probabilities of all classes in every segment.

        Args:
            samples: float32 ``[batch, sample]``, with half a window more on each side than there are frames for.

        Returns:
            float32 ``[batch, segment, class]``; frames at the end that fill no segment have none.
        """
        x = self.logmel_extractor(self.spectrogram_extractor(samples))  # [batch, 1, frame, mel band]
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        for block in (self.conv_block1, self.conv_block2, self.conv_block3, self.conv_block4, self.conv_block5):
            x = F.avg_pool2d(block(x), 2)
        x = self.conv_block6(x).mean(3)  # [batch, channel, segment]
        x = F.max_pool1d(x, 3, stride=1, padding=1) + F.avg_pool1d(x, 3, stride=1, padding=1)
        return self._decide(F.relu(self.fc1(x.transpose(1, 2))))

    def _add_head(self) -> None:
        raise NotImplementedError

    def _decide(self, x: torch.Tensor) -> torch.Tensor:
        """Returns probabilities ``[batch, segment, class]`` of embeddings ``[batch, segment, channel]``."""
        raise NotImplementedError


class Cnn14DecisionLevelMax(DecisionLevelCnn14):
    """Cnn14_DecisionLevelMax: a clip has a class as much as its surest segment has.

    Cnn14, which tags whole clips, has the same layers. On its checkpoints this says what each segment alone would give.
    """

    published_name = "Cnn14_DecisionLevelMax"

    def _add_head(self) -> None:
        self.fc_audioset = nn.Linear(2048, N_CLASSES)

    def _decide(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.fc_audioset(x))


class Cnn14DecisionLevelAtt(DecisionLevelCnn14):
    """Cnn14_DecisionLevelAtt: a clip has a class as much as segments have, weighted by attention.

    The weights make the probability of a clip of those of its segments, and are not needed here.
    """

    published_name = "Cnn14_DecisionLevelAtt"

    def _add_head(self) -> None:
        self.att_block = AttentionBlock(2048, N_CLASSES)

    def _decide(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.att_block.cla(x.transpose(1, 2))).transpose(1, 2)


class ConvBlock(nn.Module):
    """Two convolutions of three by three, each normalised and rectified; pooling comes after."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(n_out), nn.BatchNorm2d(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns ``[batch, channel out, frame, band]`` of ``[batch, channel in, frame, band]``."""
        return F.relu_(self.bn2(self.conv2(F.relu_(self.bn1(self.conv1(x))))))


class AttentionBlock(nn.Module):
    """The layers behind a clip's probabilities; those of its segments are the sigmoid of ``cla``."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.att, self.cla = nn.Conv1d(n_in, n_out, 1), nn.Conv1d(n_in, n_out, 1)
        self.bn_att = nn.BatchNorm1d(n_out)
