"""The recordings of the NAS-Bench-201 space, and the largest error that each of them showed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

FOLDER = Path(os.environ.get("DARTS_GOLDENS") or Path(__file__).parents[2] / "goldens")

#: By the name of a test's argument, the pattern of the files it runs over.
PATTERNS = {
    "darts_file": "nb201_supernet*.pt",
    "gdas_file": "gdas_nb201_supernet*.pt",
    "drnas_file": "drnas_nb201_supernet*.pt",
    "final_file": "nb201_final*.pt",
    "genotypes_file": "*nb201_genotypes*.json",
    "sizes_file": "nb201_genotypes*.json",
}

_errors: dict[str, dict[str, float]] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for argument, pattern in PATTERNS.items():
        if argument in metafunc.fixturenames:
            found = sorted({*FOLDER.glob(pattern), *(FOLDER / "family").glob(pattern)})
            metafunc.parametrize(argument, found, ids=lambda path: path.stem)


@pytest.fixture
def agrees() -> Callable[..., None]:
    """Asserts that a number or tensor is the recorded one, and keeps the error for the summary."""

    def check(path: Path, what: str, found: Any, recorded: Any, tolerance: float = 1e-10) -> None:
        ours, theirs = (torch.as_tensor(value).detach() for value in (found, recorded))
        assert ours.dtype == torch.float64, f"{what} was computed in {ours.dtype}"
        assert ours.shape == theirs.shape, f"{what}: {tuple(ours.shape)} against {tuple(theirs.shape)}"
        error = relative_error(ours, theirs.double())
        kept = _errors.setdefault(path.name, {})
        kept[what] = max(kept.get(what, 0.0), error)
        assert error <= tolerance, f"{path.name}: {what} is off by {error:.1e}"

    return check


def relative_error(found: Tensor, recorded: Tensor) -> float:
    """max|difference| / max|recorded|."""
    largest = recorded.abs().max().item()
    difference = (found - recorded).abs().max().item()
    return difference / largest if largest else difference


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    if _errors:
        terminalreporter.section("largest relative error against recorded numbers, NAS-Bench-201")
    for name, errors in sorted(_errors.items()):
        largest = max(errors, key=lambda what: errors[what])
        terminalreporter.write_line(f"{name}: {errors[largest]:.1e} ({largest})")
