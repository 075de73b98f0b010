"""Published checkpoints of PANNs: read without running anything in them, and checked layer by layer."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rl_postproc.catalogue import did_you_mean
from rl_postproc.sources.panns.model import Cnn14DecisionLevelAtt, Cnn14DecisionLevelMax, DecisionLevelCnn14
from rl_postproc.utils.errors import UserError, quoted

EXPECTED = "give the checkpoint of Cnn14_DecisionLevelMax or Cnn14_DecisionLevelAtt at 32 kHz"
_COUNTER = "num_batches_tracked"
"""What only training reads, and checkpoints of old releases of torch lack."""


def load_checkpoint(path: str | Path) -> DecisionLevelCnn14:
    """Reads a checkpoint into the architecture that its layers are of.

    Args:
        path: file of ``{"model": weights by layer}``, as the authors publish them.

    Returns:
        The network, in evaluation mode.

    Raises:
        UserError: the file is missing, no checkpoint, holds more than weights, or those of another network.
    """
    path = Path(path)
    weights = _weights(path)
    kind = Cnn14DecisionLevelAtt if any(key.startswith("att_block.") for key in weights) else Cnn14DecisionLevelMax
    model = kind()
    expected = model.state_dict()
    weights = {key: torch.zeros((), dtype=torch.int64) for key in expected if key.endswith(_COUNTER)} | weights
    _check(path, weights, expected, kind.published_name)
    model.load_state_dict(weights, assign=True)
    return model.requires_grad_(False)


def _weights(path: Path) -> dict[str, Any]:
    """Returns what a checkpoint holds by the names of layers."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        hint = did_you_mean(path) if isinstance(error, FileNotFoundError) else ""
        raise UserError(f"Cannot read '{path}': {error.strerror or error}{hint}.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about releases of pickle
            # Files of torch before 1.6 cannot be mapped into memory.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # damaged files end in errors of every kind
        if isinstance(error, pickle.UnpicklingError) and re.search("Unsupported (global|class)", str(error)):
            raise UserError(f"'{path}' holds more than weights: it asks for other Python objects, which could run code and "
                            "are not loaded; where you trust it, write its weights anew: torch.save({'model': torch.load(IN, "
                            "weights_only=False)['model']}, OUT).") from error  # fmt: skip
        raise UserError(f"'{path}' cannot be read as a checkpoint; it may be truncated or of another kind; download it "
                        f"again, or {EXPECTED}.") from error  # fmt: skip
    weights = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping) or not weights or not all(isinstance(key, str) for key in weights):
        raise UserError(f"'{path}' holds no weights by layer, {{'model': …}}; {EXPECTED}.")
    return dict(weights)


def _check(path: Path, weights: dict[str, Any], expected: dict[str, torch.Tensor], name: str) -> None:
    """Refuses weights of another network."""
    missing, further = [k for k in expected if k not in weights], [k for k in weights if k not in expected]
    if missing or further:
        parts = [f"lacks {len(missing)} of its {len(expected)} layers' values ({quoted(missing)})"] if missing else []
        parts += [f"has {len(further)} others ({quoted(further)})"] if further else []
        raise UserError(f"'{path}' is no checkpoint of {name}: it {' and '.join(parts)}; {EXPECTED}.")
    for key, value in weights.items():
        wanted = expected[key]
        if not isinstance(value, torch.Tensor) or value.shape != wanted.shape or value.dtype != wanted.dtype:
            found = _shown(value) if isinstance(value, torch.Tensor) else type(value).__name__
            raise UserError(f"'{path}' is no checkpoint of {name}: '{key}' is {found} where {_shown(wanted)} belongs; "
                            f"{EXPECTED}.")  # fmt: skip
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(f"'{path}' is damaged: '{key}' holds values that are no numbers; download it again.")


def _shown(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
