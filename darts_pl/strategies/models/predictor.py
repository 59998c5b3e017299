"""An ensemble of small networks that predicts scores of genotypes from their features."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

#: Fraction of the data that each member is trained on, as in PNAS (section 4.2: 4/5 of the data for each of 5).
FRACTION = 0.8


class Ensemble:
    """Multi-layer perceptrons with one hidden layer, trained together by full-batch Adam.

    Args:
        inputs: length of a feature vector.
        members: number of networks, each of which leaves out another fifth of the data.
        hidden: units of the hidden layer.
        lr: learning rate.
        steps: steps of the training.
        weight_decay: L2 penalty.
        seed: seeds the initial weights and what each member leaves out.
    """

    def __init__(
        self, inputs: int, *, members: int, hidden: int, lr: float, steps: int, weight_decay: float, seed: int
    ) -> None:
        self.members, self.lr, self.steps, self.weight_decay = members, lr, steps, weight_decay
        self.generator = torch.Generator().manual_seed(seed)
        shapes = [(inputs, hidden), (1, hidden), (hidden, 1), (1, 1)]
        self.weights = [nn.Parameter(self._initial(members, rows, columns)) for rows, columns in shapes]

    def _initial(self, members: int, rows: int, columns: int) -> Tensor:
        if rows == 1:
            return torch.zeros(members, rows, columns)
        return torch.randn(members, rows, columns, generator=self.generator) * (2 / rows) ** 0.5

    def _forward(self, features: Tensor) -> Tensor:
        first, bias, second, offset = self.weights
        return (torch.relu(features @ first + bias) @ second + offset).squeeze(-1)  # [members, points]

    def fit(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Train on features [points, inputs] and targets [points] of mean 0 and variance 1."""
        inputs = torch.from_numpy(features).float()
        wanted = torch.from_numpy(targets).float()
        used = torch.zeros(self.members, len(targets))
        order = torch.randperm(len(targets), generator=self.generator)
        for member in range(self.members):
            used[member, torch.roll(order, member * len(order) // self.members)[: self._kept(len(order))]] = 1
        optimizer = torch.optim.Adam(self.weights, lr=self.lr, weight_decay=self.weight_decay)
        for _ in range(self.steps):
            optimizer.zero_grad()
            loss = (used * (self._forward(inputs) - wanted) ** 2).sum(1).div(used.sum(1)).sum()
            loss.backward()
            optimizer.step()

    @staticmethod
    def _kept(points: int) -> int:
        return max(1, round(FRACTION * points))

    @torch.no_grad()
    def predict(self, features: np.ndarray) -> np.ndarray:
        """The mean prediction [points] for features [points, inputs]."""
        return self._forward(torch.from_numpy(features).float()).mean(0).numpy()
