"""REINFORCE: the controller learns from the scores of what it sampled."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from darts_pl.strategies.controllers.controller import Controller
from darts_pl.strategies.encoding import Integers


class PolicyGradient:
    """Gradient ascent on the expected reward with an exponential moving baseline.

    One step follows the mean of ``(reward - baseline) grad log p + entropy_weight grad entropy``
    (Williams, "Simple statistical gradient-following algorithms", 1992).

    Args:
        controller: samples the genotypes.
        lr: learning rate of Adam.
        beta1: decay of Adam's first moment.
        baseline_decay: decay of the moving mean of the rewards.
        entropy_weight: weight of the entropy.
    """

    def __init__(
        self, controller: Controller, *, lr: float, beta1: float, baseline_decay: float, entropy_weight: float
    ) -> None:
        self.controller = controller
        self.baseline_decay, self.entropy_weight = baseline_decay, entropy_weight
        self.baseline: float | None = None
        self.optimizer = torch.optim.Adam(controller.parameters(), lr=lr, betas=(beta1, 0.999))

    def step(self, genotypes: Sequence[Integers], rewards: Sequence[float]) -> None:
        """One step of the optimizer.

        Args:
            genotypes: integers [genotypes, decisions].
            rewards: [genotypes], finite. The baseline moves towards each in turn and is then subtracted.
        """
        advantages = []
        for reward in rewards:
            decay = self.baseline_decay
            self.baseline = reward if self.baseline is None else decay * self.baseline + (1 - decay) * reward
            advantages.append(reward - self.baseline)
        sample = self.controller.score(genotypes)
        gain = torch.tensor(advantages) * sample.log_probability + self.entropy_weight * sample.entropy
        self.optimizer.zero_grad()
        (-gain.mean()).backward()
        self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """Weights, moments and baseline as values that JSON holds."""
        return {"baseline": self.baseline, "tensors": [pack(tensor) for tensor in self._tensors()]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.baseline = state["baseline"]
        with torch.no_grad():
            for tensor, packed in zip(self._tensors(), state["tensors"], strict=True):
                tensor.copy_(unpack(packed).reshape(tensor.shape))

    def _tensors(self) -> Iterator[Tensor]:
        """Every weight with Adam's step and moments, which are zero where none was taken yet."""
        for parameter in self.controller.parameters():
            yield parameter
            yield from self._moments(parameter)

    def _moments(self, parameter: nn.Parameter) -> tuple[Tensor, Tensor, Tensor]:
        state = self.optimizer.state[parameter]
        if not state:  # as Adam starts
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state["step"], state["exp_avg"], state["exp_avg_sq"]


def pack(tensor: Tensor) -> str:
    """A float32 tensor as text, exactly."""
    return base64.b64encode(tensor.detach().numpy().astype("<f4").tobytes()).decode()


def unpack(text: str) -> Tensor:
    """The elements [size] of a tensor that was packed."""
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32))
