"""One small post-processor of every kind of policy and of event values, made in a second, and edits of their files."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from event_agents import random_tracks
from rl_postproc.agents.events.clip_model import fit_clip_model
from rl_postproc.agents.events.event_value import EventValue
from rl_postproc.agents.events.network import EventNetwork
from rl_postproc.agents.events.policy import EventAdditive
from rl_postproc.agents.events.rank_scale import RankScale
from rl_postproc.agents.events.ranking_policy import EventRankingPolicy, Judge
from rl_postproc.agents.events.set_policy import EventSetPolicy
from rl_postproc.agents.events.silent_classes import SilentClasses
from rl_postproc.agents.events.value_functions import (
    BoostedValues,
    ConstantsValues,
    EventValueFunction,
    MeanValues,
    NetworkValues,
)
from rl_postproc.agents.events.value_models import LabelledEvents, fit_boosted
from rl_postproc.agents.rl.frame_network import PooledEventNetwork
from rl_postproc.agents.rl.learned_events import LearnedEvents
from rl_postproc.agents.rl.vpg_paper import PassNetwork, PassPolicy
from rl_postproc.agents.universal.adapted_values import AdaptedValues
from rl_postproc.agents.universal.class_groups import ClassGroups
from rl_postproc.agents.universal.familiarity import Description, Familiarity
from rl_postproc.agents.universal.operating_point import OperatingPoint
from rl_postproc.agents.universal.policy import UniversalPolicy, lasting_features, names_digest

from rl_postproc.candidates.features import FeatureGrid
from rl_postproc.candidates.pool import PoolBounds
from rl_postproc.pipeline import artefact
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask


def every_kind(task: TuningTask) -> dict[str, PostProcessor]:
    """Returns a post-processor of every kind; those of networks have random weights."""
    scores, n = task.scores, task.scores.n_classes
    labelled = LabelledEvents(
        task.event_features, task.decoded.track % n, task.event_features[:, 7] > task.event_features[:, 7].median(), n
    )
    lam, grid = torch.tensor([0.3, 0.5, 0.4]), FeatureGrid(scores.hop)
    n_features = labelled.features.shape[1]
    boosted = BoostedValues(fit_boosted(labelled, EventValue(rounds=6, leaves=5), 0)[0], lam, n_features)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = [EventNetwork(n_features, n, 6) for _ in range(2)]
        pooled = [PooledEventNetwork(n, 4, 6) for _ in range(2)]
        passes = PassNetwork(n, 2, 5)
    for network in networks:
        network.standardise(labelled.features)
    for network in pooled:
        torch.nn.init.normal_(network.layers[-1].weight)  # pyright: ignore
    no_class = LabelledEvents(labelled.features, torch.zeros_like(labelled.label), labelled.matches, 1)
    blind = fit_boosted(no_class, EventValue(rounds=6, leaves=5), 0)[0]
    values: dict[str, EventValueFunction] = {
        "boosted": boosted,
        "network": NetworkValues(networks, lam),
        "mean": MeanValues([boosted, NetworkValues(networks[:1], lam)]),
        "on_values": NetworkValues(networks[:1], base=boosted),
        "adapted": AdaptedValues(blind, 0.9, torch.tensor([0.1, -0.2, 0.0]), boosted.trees, 0.5, lam, n_features),
        "on_constants": NetworkValues(networks[:1], base=ConstantsValues(torch.tensor([2, 7, 0]))),
    }
    policies: dict[str, Policy] = {name: EventAdditive(value, grid) for name, value in values.items()}
    silent = torch.tensor([False, True, False])
    policies |= {
        "event_set": EventSetPolicy(EventAdditive(values["mean"], grid), silent, lam),
        "silent_classes": SilentClasses(policies["boosted"], silent, task.stack.space.values[[1, 2, 3]]),
        "learned_events": LearnedEvents(pooled, scores.hop),
        "class_groups": ClassGroups(
            [scores.classes[::2], scores.classes[1::2]],
            [
                EventSetPolicy(
                    EventAdditive(AdaptedValues(blind, 1.0, torch.zeros(k), None, 0.0, lam[:k], n_features), grid),
                    silent[:k],
                    lam[:k],
                )
                for k in (2, 1)
            ],
        ),
        "vpg_paper": PassPolicy(n, [0.0, 0.3], 5, dict(passes.state_dict())),
    }
    found = {name: PostProcessor(task.stack, scores.classes, policy, scores.hop) for name, policy in policies.items()}
    constants = task.stack.space.values[[4, 2, 7]]
    found["constant"] = PostProcessor.constant(task.stack, scores, constants, {"agent": "by hand", "score": 0.5})
    looks = []
    for i in range(8):  # parts of the events, as if each were a set of its own
        looks.append(Description(len(lasting_features(grid))))
        looks[-1].add(labelled.features[i::8][:, lasting_features(grid)], task.decoded.track[i::8])
    in_clip = torch.arange(scores.n_clips * n) % 3 == 0
    with_clips = fit_clip_model(scores, in_clip, torch.arange(scores.n_clips) % 2, EventValue(rounds=3), 0)[0]
    scale = RankScale.of(torch.arange(30) % 3, torch.arange(30) / 40, 3, 2.0)
    judge = Judge(PoolBounds(), boosted, NetworkValues(networks[:1], lam))
    ranks = EventRankingPolicy(grid, [judge], with_clips, torch.tensor([False, True, False]), silent & False, scale)
    found["event_ranking"] = PostProcessor(task.stack, scores.classes, ranks, scores.hop)
    universal = UniversalPolicy(
        blind, grid, OperatingPoint(), Familiarity.of(looks), None, names_digest(scores.clip_ids)
    )
    return {**found, "tracks": random_tracks(task), "universal": PostProcessor(task.stack, None, universal, None)}


def reseal(path: Path) -> None:
    """Gives a changed ``postprocessor.json`` and the tensors beside it digests that fit, as nobody does by accident."""
    document, tensors = json.loads(path.read_text()), path.with_suffix(".safetensors")
    if isinstance(document.get("sha256"), dict) and all(name in document for name in artefact.SEALED):
        document["sha256"]["values"] = artefact._digest(document)
        if tensors.exists():
            document["sha256"]["weights"] = hashlib.sha256(tensors.read_bytes()).hexdigest()
        path.write_text(json.dumps(document))


VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 5, 0.25, 10**9, 10**30, -(10**30), 1e-300, 1e300, float("nan"), float("inf"), "", "x",
    "constant", "0.5", "[/b]\n$a_{b$", [], [None], [1, 2, 3], {}, {"kind": "constant"}, {"\n": 1},
]  # fmt: skip
"""What values are replaced by."""


def places(value: Any, path: tuple[Any, ...] = (), every: bool = False) -> Iterator[tuple[Any, ...]]:
    """Yields the path of every value in a JSON document; of lists the first and last item, or every one."""
    if path:
        yield path
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    if isinstance(value, list) and not every:
        items = items[:1] + items[1:][-1:]
    for key, inner in items:
        yield from places(inner, (*path, key), every)


def edits(document: Any, every: bool = False) -> Iterator[tuple[str, Any]]:
    """Yields what was done and the document with it: one value replaced, dropped or, in a list, said twice."""
    for path in places(document, (), every):
        *parents, last = path
        for value in (*VALUES, "drop", "twice"):
            changed = copy.deepcopy(document)
            inner = changed
            for key in parents:
                inner = inner[key]
            if value == "drop":
                del inner[last]
            elif value == "twice":
                if not isinstance(inner, list):
                    continue
                inner.insert(last, inner[last])
            elif type(value) is type(inner[last]) and value == inner[last]:
                continue
            else:
                inner[last] = value
            yield f"{'.'.join(map(str, path))} := {value!r}", changed
