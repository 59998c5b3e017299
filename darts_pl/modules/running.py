"""What a step accumulates on the training device: metrics of the epoch so far, and whether all numbers were finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from darts_pl.errors import UserError


class Mean(Metric):
    """Weighted mean of scalars, added up in float64, over all ranks.

    torchmetrics' own looks at each value for NaN, for which the host waits for the device; told not
    to look, it forgets the weights (1.9).
    """

    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "weight"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, value: Tensor, weight: Tensor | float = 1.0) -> None:
        """Add a scalar that is the mean over `weight` samples."""
        self.total = self.total + value.detach().double() * weight
        self.weight = self.weight + weight

    def compute(self) -> Tensor:
        """The mean of all values; NaN if there were none."""
        return self.total / self.weight


def metric_states(groups: Mapping[str, nn.Module | None]) -> dict[str, Any]:
    """What these metrics have added up so far; torchmetrics' own state dicts leave it out.

    Args:
        groups: metrics, or modules that hold some, by name.
    """
    return {
        name: {"state": dict(metric.metric_state), "updates": metric.update_count} for name, metric in _metrics(groups)
    }


def load_metric_states(groups: Mapping[str, nn.Module | None], states: Mapping[str, Any]) -> None:
    """Restore the metrics from `states`, which `metric_states` returned."""
    for name, metric in _metrics(groups):
        for key, value in states[name]["state"].items():
            setattr(metric, key, value.to(metric.device) if isinstance(value, Tensor) else value)
        metric._update_count = states[name]["updates"]  # without it, it would warn that it saw nothing


def reset_metrics(groups: Mapping[str, nn.Module | None]) -> None:
    """Reset the metrics for a new epoch. A checkpoint of an epoch's end holds what that epoch added up."""
    for _, metric in _metrics(groups):
        metric.reset()


def _metrics(groups: Mapping[str, nn.Module | None]) -> Iterator[tuple[str, Metric]]:
    for group, module in groups.items():
        for name, part in module.named_modules() if module is not None else ():
            if isinstance(part, Metric):
                yield f"{group}.{name}", part


class DivergedError(UserError):
    """Losses or gradients became NaN or infinite."""


class FiniteWatch:
    """Remembers the last step whose numbers were all finite. It reads them on their device: only
    `check` waits for it.

    Args:
        names: of the numbers.
        remedy: what a user can do, for the message.
    """

    def __init__(self, names: Sequence[str], remedy: str) -> None:
        self.names = tuple(names)
        self.remedy = remedy
        self._last: Tensor | None = None
        self._steps = torch.zeros(())
        self._finite = torch.ones((), dtype=torch.bool)

    def observe(self, *values: Tensor) -> None:
        """Add the numbers of one step, scalars in the order of the names."""
        now = torch.stack([value.detach().float() for value in values])
        if self._last is None:
            self._last = torch.full_like(now, torch.nan)
            self._steps, self._finite = self._steps.to(now.device), self._finite.to(now.device)
        self._finite = self._finite & now.isfinite().all()
        self._last = torch.where(self._finite, now, self._last)
        self._steps = self._steps + self._finite

    def start(self, steps: int = 0) -> None:
        """Begin an epoch, of which `steps` steps are done."""
        self._steps = torch.full_like(self._steps, steps)

    def check(self, epoch: int) -> None:
        """Compare with what was seen since the start of the epoch.

        Args:
            epoch: counted from 0.

        Raises:
            DivergedError: naming the first step that was not finite, and the last values that were.
        """
        if bool(self._finite):
            return
        step = int(self._steps) + 1
        last = [] if self._last is None else self._last.tolist()
        values = ", ".join(f"{name} {value:.4g}" for name, value in zip(self.names, last, strict=False))
        before = f"the last finite step had {values}" if last and last[0] == last[0] else "no step before was finite"
        raise DivergedError(f"diverged in epoch {epoch + 1}, step {step}: {before}\n{self.remedy}")
