"""What the examples share: a network for the observation ``events``, the data, and the figures on held-out clips."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.envs.evaluation import compare, hold_out, observe_all
from torch import nn

from rl_postproc.config import load_config
from rl_postproc.task import TuningTask

OBSERVATION = {"observation": "events", "max_events": 64}
SETTINGS = {"observation": OBSERVATION, "actions": "candidate", "skip_silent": True}
"""Arguments of the environments in all examples."""


class EventPolicy(nn.Module):
    """Gives each candidate the sum of learned values of the events that it decodes; the space fits any clips.

    A small network maps the standardised features of an event, and the class, to its value and to its part in the value
    of the state. Logits are sums over `temperature`; all are 0 at first.
    """

    def __init__(self, space: Any, hidden: int = 32, temperature: float = 0.3):
        """Takes the observation space of one per-class environment."""
        super().__init__()
        n_features, self.n_filters = space["features"].shape[-1], space["levels"].shape[-2]
        self.n_levels, self.temperature = int(space["levels"].high.max()), temperature
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        n_inputs = n_features + space["class"].shape[-1]
        self.actor = nn.Sequential(
            nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        self.critic = nn.Sequential(nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.offset = nn.Linear(space["class"].shape[-1], 1)
        for layer in (self.actor[-1], self.critic[-1], self.offset):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

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


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the arguments that all examples take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=1000, help="simulated clips, a fifth of them held out")
    parser.add_argument("--config", help="YAML config with the key 'data', in place of simulated clips")
    return parser


def load_tasks(args: argparse.Namespace, device: str = "cpu") -> tuple[TuningTask, TuningTask]:
    """Returns the task of the training clips and that of the held-out clips."""
    if args.config:
        config = load_config(BenchmarkConfig, args.config)
        task = TuningTask.of_config(config, config.load_data()).to(device)
    else:
        task = TuningTask.build({"data": {"simulated": {"n_clips": args.clips}}}, device=device)
    return hold_out(task)


@torch.no_grad()
def report(train: TuningTask, held_out: TuningTask, network: EventPolicy) -> None:
    """Prints the macro F1 on held-out clips: the best candidates by the network, grid search, and the defaults."""
    logits = network(observe_all(held_out, OBSERVATION))[0]
    found = compare(train, held_out, logits.argmax(1), form="candidate")
    print("macro F1 on held-out clips: policy {policy:.3f}, grid search {grid search:.3f}, threshold 0.5 {defaults:.3f}"
          .format(**found))  # fmt: skip
