"""The published reinforcement-learning system, as an agent: vanilla policy gradient over whole passes.

Source: Giannakopoulos, Pikrakis and Cotronis, "Improving Post-Processing of Audio Event Detectors Using Reinforcement
Learning", IEEE Access 10 (2022), 84398; code: petrosgk/SED_RL_post_processing.

As published: the state is one clip's class probabilities; two GRU layers of 32 and mean pooling; for each class one of
the windows 3, 5, …, 21 frames and a threshold in [0, 1]; one pass over the clips is an episode, whose only reward is
the number of clips times macro F1, paid at the last step (`episode_f1`); learning rate 1e-3, discount 0.99, entropy
1e-3, batches of 4 passes.

Mended, because they are defects and not choices:

- scores were overwritten in place from step to step; here they are immutable;
- a class without output gave a NaN reward, which pays for silencing it; here it scores 0;
- events ended one frame short; here at the right edge of their last frame;
- the agent was judged on the clips it was trained on; here on clips left out;
- every pass had the same order, so that with the discount the first of 1168 clips saw 8e-6 of the reward, always the
  same clips; here each pass has an order of its own. The discount itself is kept: ``discount: 1`` removes it;
- all returns are positive, so every action became likelier; here the mean return of the other passes of the batch is
  taken off (``baseline: false`` for the bare form).

It shows what the environments with immediate rewards gain: on the DESED validation set its training F1 does not rise
within 160 passes, and it ends below the untuned defaults, held out and on its own clips. The windows are taken as the
nearest kernels of the stack and the threshold is snapped to the grid while learning, so that a step is a look-up; the
tuned policy applies the threshold as it is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.saved import Count, MadeFor, Saved, Shapes, weights_of, with_prefix
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import MOST_SECONDS
from rl_postproc.stages.sorting_networks import odd_kernel
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ...envs.engine import EpisodeBatch
from ...envs.post_processing import objective_name
from ..base import FitResult, ProgressCallback, require_own_parameters
from ..parts import Parts, ResumableAgent, load_optimiser, optimiser_tensors

KERNEL, THRESHOLD = "median.kernel", "threshold.threshold"


class PassNetwork(nn.Module):
    """Two GRU layers and mean pooling over the frames; logits of the windows, mean and spread of the threshold."""

    def __init__(self, n_classes: int, n_windows: int, hidden: int):
        super().__init__()
        self.gru = nn.GRU(n_classes, hidden, num_layers=2, batch_first=True)
        self.windows = nn.Linear(hidden, n_classes * n_windows)
        self.threshold = nn.Linear(hidden, n_classes)
        self.log_spread = nn.Parameter(torch.full((n_classes,), -1.5))

    def forward(self, scores: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns window logits ``[clip, class, window]`` and mean thresholds ``[clip, class]``.

        Args:
            scores: ``[clip, class, frame]``.
            mask: 1 for every frame that exists, float32 ``[clip, frame]``.
        """
        states, _ = self.gru(scores.transpose(1, 2))
        pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        means = torch.sigmoid(self.threshold(pooled))
        return self.windows(pooled).unflatten(1, (scores.shape[1], -1)), means


class PassSize(Saved):
    """Sizes of the network, and the kernels to choose from, in seconds."""

    n_classes: Count
    kernels: list[Annotated[float, Field(ge=0, le=MOST_SECONDS)]]
    hidden: Count


class SavedPasses(Saved):
    """The settings of the network."""

    settings: PassSize

    def tensors(self, made: MadeFor) -> Shapes:
        """See `Saved.tensors`."""
        size, names = self.settings, made.stack.space.names
        made.equal(n_classes=(size.n_classes, len(made.classes)))
        if THRESHOLD not in names or (size.kernels and KERNEL not in names):
            raise ValueError("the stack lacks a parameter that the policy sets")
        return weights_of(lambda: PassNetwork(size.n_classes, max(1, len(size.kernels)), size.hidden))


class PassPolicy(Policy):
    """The likeliest window and the mean threshold of each clip and class; other parameters stay at their defaults."""

    kind = "vpg_paper"
    saved = SavedPasses
    frame_bound = True

    def __init__(self, n_classes: int, kernels: list[float], hidden: int, tensors: dict[str, torch.Tensor]):
        self.settings = {"n_classes": n_classes, "kernels": kernels, "hidden": hidden}
        self.network = PassNetwork(n_classes, max(1, len(kernels)), hidden)
        self.network.load_state_dict(tensors)

    @torch.no_grad()
    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns parameter values ``[clip, class, parameter]``."""
        logits, means = self.network(scores.scores.cpu(), scores.valid.float().cpu())
        values = stack.space.defaults.expand(*means.shape, -1).clone()
        names = stack.space.names
        values[..., names.index(THRESHOLD)] = means
        if self.settings["kernels"]:
            values[..., names.index(KERNEL)] = torch.tensor(self.settings["kernels"])[logits.argmax(-1)]
        return values

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the settings and the weights."""
        return {"settings": self.settings}, dict(self.network.state_dict())

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> PassPolicy:
        """Restores the network."""
        return cls(**values["settings"], tensors=tensors)


class VPGPaper(ResumableAgent):
    """Vanilla policy gradient with the reward at the end of each pass; see this module for what was mended.

    ``passes`` bounds the time: the default takes about a minute on a thousand clips.
    """

    agent: Literal["vpg_paper"] = "vpg_paper"
    passes: int = Field(default=120, ge=1, description="passes over the clips")
    batch: int = Field(default=4, ge=1, description="passes of one update")
    learning_rate: float = Field(default=1e-3, gt=0, description="of Adam")
    discount: float = Field(default=0.99, gt=0, le=1, description="of the reward, step by step from the end of a pass")
    entropy: float = Field(default=1e-3, ge=0, description="weight of the entropy bonus")
    hidden: int = Field(default=32, ge=1, description="units of each GRU layer")
    windows: tuple[int, ...] = Field(
        default=(3, 5, 7, 9, 11, 13, 15, 17, 19, 21), description="median windows to choose from, in frames"
    )
    baseline: bool = Field(default=True, description="take off the mean return of the other passes")

    def check(self, task: TuningTask) -> None:
        """Needs a threshold, and no parameter that all classes share."""
        require_own_parameters(self, task)
        if THRESHOLD not in task.stack.space.names:
            raise UserError(
                "The agent 'vpg_paper' sets the threshold of each class; give a stack with the stage threshold."
            )

    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Plays passes in batches and follows the policy gradient."""
        kernels, index = self._kernels(task)
        n_classes, n_passes = task.scores.n_classes, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = PassNetwork(n_classes, max(1, len(kernels)), self.hidden)
        generator = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        mask, curve = task.scores.valid.float(), []
        # The state of the environments without their wrapping: the policy has seen every clip before the pass begins.
        engine = EpisodeBatch(task, self.batch, per_class=False, reward="episode_f1", episode="pass")
        engine.seed(torch.randint(2**62, (self.batch,), generator=generator))
        if (kept := parts.get("passes")) is not None:
            n_passes, curve = kept[0]["passes"], kept[0]["curve"]
            network.load_state_dict(with_prefix(kept[1], "network."))
            load_optimiser(optimiser, with_prefix(kept[1], "optimiser."))
            engine.load_state_dict(with_prefix(kept[1], "environment."))
            generator.set_state(kept[1]["generator"])
        while n_passes < self.passes:
            logits, means = network(task.scores.scores, mask)
            window, threshold = self._sample(network, logits, means, generator)
            clips, reward, macro = self._play(engine, self._actions(task, window, threshold, index))
            loss = self._loss(network, logits, means, window, threshold, clips, reward)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            n_passes += self.batch
            figures = {"passes": n_passes, f"train_{objective_name(task)}": float(macro.mean())}
            curve.append({"steps": n_passes * task.scores.n_clips, **figures})
            states = {"network.": network.state_dict(), "optimiser.": optimiser_tensors(optimiser)}
            states["environment."] = engine.state_dict()
            tensors = {prefix + name: value for prefix, state in states.items() for name, value in state.items()}
            kept = {"passes": n_passes, "curve": curve}
            parts.put("passes", kept, {**tensors, "generator": generator.get_state()})
            report(min(1.0, n_passes / self.passes), figures)
        tensors = {name: value.detach().clone() for name, value in network.state_dict().items()}
        policy = PassPolicy(n_classes, kernels, self.hidden, tensors)
        processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
        return FitResult(processor, n_passes * task.scores.n_clips, curve)

    def _kernels(self, task: TuningTask) -> tuple[list[float], torch.Tensor]:
        """Returns the stack's kernel nearest to each window in seconds, without repeats, and their indices."""
        space = task.stack.space
        if KERNEL not in space.names:
            return [], torch.zeros(0, dtype=torch.int64)
        candidates = space.parameters[space.names.index(KERNEL)].candidates
        frames = torch.tensor([odd_kernel(value, task.scores.hop) for value in candidates])
        index = (frames - torch.tensor(self.windows)[:, None]).abs().argmin(1).unique()
        return [candidates[i] for i in index.tolist()], index

    def _sample(
        self, network: PassNetwork, logits: torch.Tensor, means: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws the actions of all passes: windows int64 and thresholds, ``[pass, clip, class]``."""
        with torch.no_grad():
            shape = (self.batch, *logits.shape)
            noise = -torch.log(-torch.log(torch.rand(shape, generator=generator).clamp(1e-20, 1 - 1e-7)))
            window = (logits + noise).argmax(-1)
            normal = torch.randn(shape[:-1], generator=generator)
            return window, means + network.log_spread.exp() * normal

    def _actions(
        self, task: TuningTask, window: torch.Tensor, threshold: torch.Tensor, kernel_index: torch.Tensor
    ) -> torch.Tensor:
        """Returns the environment's actions, int64 ``[pass, clip, component]``; other parameters at their defaults."""
        space, parts = task.stack.space, []
        for name, parameter in zip(space.names, space.parameters, strict=True):
            grid = torch.tensor(parameter.candidates)
            if name == THRESHOLD:
                parts.append(torch.bucketize(threshold.contiguous(), (grid[1:] + grid[:-1]) / 2))
            elif name == KERNEL:
                parts.append(kernel_index[window])
            else:
                parts.append(torch.full_like(window, int((grid - parameter.default).abs().argmin())))
        return torch.stack(parts, -1).flatten(2)

    def _play(self, engine: EpisodeBatch, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Plays one pass in every environment.

        Returns:
            The clips in the order of their steps ``[step, pass]``, and the final rewards and macro F1 ``[pass]``.
        """
        engine.reset(engine.waiting)
        clips, passes = [], torch.arange(len(actions))
        for _ in range(engine.n_items):
            result = engine.step(actions[passes, engine.clip_and_class()[0]])
            clips.append(result.clip)
        assert bool(result.ended.all())
        return torch.stack(clips), result.reward, result.objective

    def _loss(
        self,
        network: PassNetwork,
        logits: torch.Tensor,
        means: torch.Tensor,
        window: torch.Tensor,
        threshold: torch.Tensor,
        clips: torch.Tensor,
        reward: torch.Tensor,
    ) -> torch.Tensor:
        """Policy-gradient loss of a batch of passes, with the return of a step discounted from the end of its pass."""
        normal = torch.distributions.Normal(means, network.log_spread.exp())
        choice = torch.distributions.Categorical(logits=logits)
        log_probability = (normal.log_prob(threshold) + choice.log_prob(window)).sum(-1)
        if self.baseline and self.batch > 1:
            reward = reward - (reward.sum() - reward) / (self.batch - 1)
        n = len(clips)
        returns = self.discount ** torch.arange(n - 1, -1, -1.0)[:, None] * reward
        by_clip = torch.zeros_like(log_probability).scatter(1, clips.T, returns.T)
        entropy = (normal.entropy() + choice.entropy()).sum(-1).mean()
        return -(log_probability * by_clip).mean() - self.entropy * entropy
