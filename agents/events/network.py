"""A small network that judges events."""

from __future__ import annotations

import torch
from torch import nn


class EventNetwork(nn.Module):
    """A small network from the features and the class of an event to one number."""

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, n_features: int, n_classes: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.embedding = nn.Embedding(n_classes, 8)
        self.layers = nn.Sequential(
            nn.Linear(n_features + 8, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )
        self.size = {"n_features": n_features, "n_classes": n_classes, "hidden": hidden}

    def standardise(self, features: torch.Tensor) -> None:
        """Sets the scaling of the inputs from the events of the training clips."""
        deviation, mean = torch.std_mean(features, 0, correction=0)
        self.centre.copy_(mean)
        self.scale.copy_(1 / deviation.clamp(min=1e-3))

    def scaled(self, features: torch.Tensor) -> torch.Tensor:
        """Returns the standardised features, ``[event, feature]``."""
        return ((features - self.centre) * self.scale).clamp(-5, 5)

    def hidden(self, scaled: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Returns what the last layer sees of standardised features, ``[event, hidden]``."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        # The first layer on features and class apart: what the class adds is the same for all of its events, and no
        # gradient is worked out for the features.
        of_features, of_class = first.weight.tensor_split([scaled.shape[1]], 1)
        offset = nn.functional.linear(self.embedding.weight, of_class, first.bias)
        return self.layers[1:-1](nn.functional.linear(scaled, of_features) + offset[label])

    def forward(self, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Returns ``[event]``."""
        return self.layers[-1](self.hidden(self.scaled(features), label))[:, 0]
