"""Numbers recorded from the authors' code: where they are, and how far ours are from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

#: The folder of the recorded reference numbers.
FOLDER = Path(os.environ.get("DARTS_GOLDENS") or Path(__file__).parent / "goldens")


def relative_error(found: Tensor, recorded: Tensor) -> float:
    """max|difference| / max|recorded|; max|difference| where everything recorded is 0."""
    largest = recorded.abs().max().item()
    difference = (found - recorded).abs().max().item()
    return difference / largest if largest else difference


class Agreement:
    """Asserts that numbers are the recorded ones, and keeps the largest error of each recording.

    Args:
        tolerance: largest relative error that counts as equal.
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.errors: dict[str, dict[str, float]] = {}

    def __call__(self, path: Path, what: str, found: Any, recorded: Any, tolerance: float | None = None) -> None:
        ours, theirs = (torch.as_tensor(value).detach() for value in (found, recorded))
        assert ours.dtype == torch.float64, f"{what} was computed in {ours.dtype}"
        assert ours.shape == theirs.shape, f"{what}: {tuple(ours.shape)} against {tuple(theirs.shape)}"
        error = relative_error(ours, theirs.double())
        kept = self.errors.setdefault(path.name, {})
        kept[what] = max(kept.get(what, 0.0), error)
        limit = self.tolerance if tolerance is None else tolerance
        assert error <= limit, f"{path.name}: {what} is off by {error:.1e}"

    def write(self, reporter: pytest.TerminalReporter, title: str) -> None:
        """Write the largest error of every recording, and of every quantity in it, to the summary of the tests."""
        if self.errors:
            reporter.section(title)
        for name, errors in sorted(self.errors.items()):
            quantities: dict[str, float] = {}
            for what, error in errors.items():
                quantity = what.split()[0]
                quantities[quantity] = max(quantities.get(quantity, 0.0), error)
            reporter.write_line(f"{name}: {max(quantities.values()):.1e}")
            for quantity, error in quantities.items():
                reporter.write_line(f"    {quantity}: {error:.1e}")
