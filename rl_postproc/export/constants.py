"""Constants as plain YAML, for people to read and to change; applied as any other post-processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from rl_postproc.pipeline.artefact import CONSTANTS_FORMAT
from rl_postproc.pipeline.policy import Constant
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.stages.base import Parameter, Stage
from rl_postproc.stages.one_of import OneOf
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import write_text

_HEAD = "# Constants of a post-processor, to be read and changed; `rl-postproc apply THIS.yaml SCORES` uses them.\n"


def constants_of(processor: PostProcessor) -> Constant:
    """Returns the constants of a post-processor.

    Raises:
        UserError: it has none.
    """
    if not isinstance(processor.policy, Constant):
        raise UserError(f"This post-processor cannot be exported, since its policy '{processor.policy.kind}' looks at the "
                        "scores of each clip and has no constants; tune some, with the agent 'grid_search'.")  # fmt: skip
    return processor.policy


def write_yaml(processor: PostProcessor, path: str | Path) -> None:
    """Writes the constants by class, with the units and the stack, whole or not at all.

    Raises:
        UserError: the post-processor has no constants, or the file cannot be written.
    """
    values, _ = constants_of(processor).state()
    content = {
        "format": CONSTANTS_FORMAT,
        "hop": processor.hop,
        "stack": [_plain(stage) for stage in processor.stack.stages],
        "units": dict(zip(processor.stack.space.names, processor.stack.units, strict=True)),
        "classes": values["values"],
    }
    write_text(path, _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


def _plain(stage: Stage) -> dict[str, Any]:
    """Returns a stage with its options, and without the candidates that it was tuned over."""
    if isinstance(stage, OneOf):
        return {"stage": "one_of", "stacks": {name: list(map(_plain, own)) for name, own in stage.stacks.items()}}
    tuned = {name for name in type(stage).model_fields if isinstance(getattr(stage, name), Parameter)}
    return stage.model_dump(mode="json", exclude=tuned)
