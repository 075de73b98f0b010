"""What the examples share: a network for the observation ``events``, the data, and the figures on held-out clips."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.rl.observed_policy import ObservedPolicy
from rl_postproc.envs import PostProcessingPerClassEnv
from rl_postproc.envs.evaluation import hold_out
from rl_postproc.envs.interface import Interface
from torch import nn

from rl_postproc import PostProcessor, TuningTask, evaluate
from rl_postproc.config import load_config

OBSERVATION = {"observation": "events", "max_events": 64}
SETTINGS = {"observation": OBSERVATION, "actions": "candidate", "skip_silent": True}
"""Arguments of the environments in all examples."""


class EventPolicy(nn.Module):
    """Gives each candidate the sum of learned values of the events that it decodes; the space fits any clips.

    A small network maps the standardised features of an event, and the class, to its value and to its part in the value
    of the state. Logits are sums over `temperature`; all are 0 at first.
    """

    def __init__(
        self, n_features: int, n_filters: int, n_levels: int, n_classes: int, hidden: int = 32, temperature: float = 0.3
    ):
        super().__init__()
        self.sizes = n_features, n_filters, n_levels, n_classes
        self.n_filters, self.n_levels, self.temperature = n_filters, n_levels, temperature
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        n_inputs = n_features + n_classes
        self.actor = nn.Sequential(
            nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        self.critic = nn.Sequential(nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.offset = nn.Linear(n_classes, 1)
        for layer in (self.actor[-1], self.critic[-1], self.offset):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @classmethod
    def of(cls, space: Any, **settings: float) -> EventPolicy:
        """Returns the network for the observation space of one per-class environment."""
        n_filters, n_levels = space["levels"].shape[-2], int(space["levels"].high.max())
        return cls(space["features"].shape[-1], n_filters, n_levels, space["class"].shape[-1], **settings)

    def standardise(self, observations: dict[str, torch.Tensor]) -> EventPolicy:
        """Scales features by their mean and deviation over the events of observations ``[item, ...]``."""
        deviation, mean = torch.std_mean(observations["features"][observations["mask"] > 0], 0)
        self.mean.copy_(mean)
        self.scale.copy_(1 / deviation.clamp(min=1e-3))
        return self

    def forward(self, observations: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns logits ``[item, candidate]`` and values ``[item]`` of observations ``[item, ...]``."""
        mask = observations["mask"] > 0
        n, item = len(mask), mask.nonzero()[:, 0]
        x = ((observations["features"][mask] - self.mean) * self.scale).clamp(-5, 5)
        x = torch.cat([x, observations["class"][item]], 1)
        outputs = torch.cat([self.actor(x) / self.temperature, self.critic(x)], 1)
        # What changes from level to level, summed up along the levels: no table of events and candidates is made.
        low, high = observations["levels"][mask].long().unbind(-1)
        event, kernel = (low < high).nonzero(as_tuple=True)
        row = (item[event] * self.n_filters + kernel) * (self.n_levels + 1)
        spread = outputs[event]
        change = x.new_zeros(n * self.n_filters * (self.n_levels + 1), 2)
        change = change.index_add(0, row + low[event, kernel], spread).index_add(0, row + high[event, kernel], -spread)
        sums = change.reshape(n, self.n_filters, -1, 2)[:, :, :-1].cumsum(2).flatten(1, 2)
        logits, returns = sums.unbind(-1)
        value = (logits.detach().softmax(1) * returns).sum(1) + self.offset(observations["class"])[:, 0]
        return logits, value


class BestCandidate(ObservedPolicy):
    """A trained network as a policy that can be saved: the candidate with the highest logit.

    `rl-postproc apply FOLDER SCORES --plugin examples/event_policy.py --out events.tsv` applies one that was saved.
    """

    kind = "example_event_policy"

    def __init__(self, interface: Interface, width: int, network: EventPolicy):
        super().__init__(interface, width)
        self.network = network.cpu()

    def act(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.network(observations)[0].argmax(1)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return {**super().state()[0], "sizes": list(self.network.sizes)}, dict(self.network.state_dict())

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> BestCandidate:
        network = EventPolicy(*values["sizes"])
        network.load_state_dict(tensors)
        return cls(Interface.from_json(values), values["width"], network)


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the arguments that all examples take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=1000, help="simulated clips, a fifth of them held out")
    parser.add_argument("--config", help="YAML config with the key 'data', in place of simulated clips")
    parser.add_argument("--out", help="folder to save the post-processor in")
    return parser


def load_tasks(args: argparse.Namespace, device: str = "cpu") -> tuple[TuningTask, TuningTask]:
    """Returns the task of the training clips and that of the held-out clips."""
    if args.config:
        config = load_config(BenchmarkConfig, args.config)
        task = TuningTask.of_config(config, config.load_data()).to(device)
    else:
        task = TuningTask.build({"data": {"simulated": {"n_clips": args.clips}}}, device=device)
    return hold_out(task)


def report(args: argparse.Namespace, train: TuningTask, held_out: TuningTask, network: EventPolicy) -> None:
    """Makes a post-processor of the network, and prints its macro F1 on held-out clips, and those of constants."""
    env = PostProcessingPerClassEnv(train, **SETTINGS)
    tuned = PostProcessor.from_policy(BestCandidate(env.interface, train.scores.width, network), env)
    policy = evaluate(held_out.scores.require_references(), tuned.apply(held_out.scores), held_out.metric).score.macro
    grid_search = held_out.table.score(train.best_constants).macro
    defaults = PostProcessor.constant(train.stack, train.scores, train.stack.space.defaults).apply(held_out.scores)
    half = evaluate(held_out.scores.require_references(), defaults, held_out.metric).score.macro
    print(f"macro F1 on held-out clips: policy {policy:.3f}, grid search {grid_search:.3f}, threshold 0.5 {half:.3f}")
    if args.out:
        print(f"Saved {tuned.save(args.out)}.")
