"""Models of events that are fitted on inner folds, so that every event is judged by one that has not seen its clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rl_postproc.utils.errors import UserError

from ..base import ProgressCallback, silent
from ..parts import Parts
from .network import EventNetwork
from .trees import Trees
from .value_functions import BoostedValues, EventValueFunction, MeanValues, NetworkValues
from .value_models import FITS, LabelledEvents, ModelSettings, model_state, restore_model

HELD_OUT = "held_out_probabilities"
"""Name, beside a model's tensors, of what it gives the events of the clips that it has not seen."""


@dataclass(frozen=True)
class HeldOut:
    """Models of inner folds.

    Attributes:
        trees: the gradient-boosted ones.
        networks: the small networks.
        probabilities: of each event by the models that have not seen its clip, float32 ``[event]``.
        n_features: number of features that they look at.
    """

    trees: list[Trees]
    networks: list[EventNetwork]
    probabilities: torch.Tensor
    n_features: int

    def value_function(self, lam: torch.Tensor) -> EventValueFunction:
        """Returns ``2·p − λ_c`` with p the mean over all models, for λ ``[class]``."""
        found: list[EventValueFunction] = []
        if self.trees:
            found.append(BoostedValues(Trees.join(self.trees), lam, self.n_features))
        if self.networks:
            found.append(NetworkValues(self.networks, lam))
        return found[0] if len(found) == 1 else MeanValues(found)


def fit_held_out(
    events: LabelledEvents,
    fold: torch.Tensor,
    n_folds: int,
    settings: ModelSettings,
    seed: int,
    report: ProgressCallback = silent,
    parts: Parts | None = None,
) -> HeldOut:
    """Fits the models of all inner folds, taking up those in ``parts``.

    Args:
        events: to learn from.
        fold: of each, int64 ``[event]``.
        n_folds: number of folds.
        settings: of the models.
        seed: the same seed gives the same models.
        report: takes progress.
        parts: what is finished.

    Raises:
        UserError: all events lie in one fold.
    """
    parts = Parts() if parts is None else parts
    kinds = [kind for kind in FITS if settings.model in (kind, "both")]
    models: dict[str, list] = {kind: [] for kind in FITS}
    held_out, done = torch.zeros(len(events.label)), 0
    for k in range(n_folds):
        own, rest = fold == k, (fold != k).nonzero()[:, 0]
        if not len(rest):
            raise UserError("All decoded events lie in clips of one inner fold, so none are held out; use more clips.")
        if len(rest) > settings.most_events:
            drawn = torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed + k))
            rest = rest[drawn[: settings.most_events].sort().values]
        for kind in kinds:
            for number in range(settings.models):
                name = f"fold_{k}_{kind}_{number}"
                if (kept := parts.get(name)) is None:
                    model, predict = FITS[kind](events.select(rest), settings, seed + k + 1000 * number)
                    probabilities = predict(events.features[own], events.label[own])
                    values, tensors = model_state(model)
                    parts.put(name, values, {**tensors, HELD_OUT: probabilities})
                else:
                    probabilities = kept[1].pop(HELD_OUT)
                    model = restore_model(*kept)
                models[kind].append(model)
                held_out[own] += probabilities / (len(kinds) * settings.models)
                done += 1
                report(done / (n_folds * len(kinds) * settings.models + 1), {})
    return HeldOut(models["boosted"], models["network"], held_out, events.features.shape[1])
