"""Whole runs with `hardware.compile=true`, and what other commands make of their folders."""

from pathlib import Path

import pytest
import torch

from tests.compilers import needs_compiler
from tests.tasks.conftest import finished
from tests.tasks.test_text import RETRAIN, SEARCH, own, state, stopped_after_first_epoch

__all__ = ["own"]

pytestmark = [
    pytest.mark.slow,
    needs_compiler,
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]
HARDWARE = ("hardware=cpu", "hardware.threads=1", "hardware.precision=64-true")
COMPILED = (*HARDWARE, "hardware.compile=true")
IMAGES = (
    *("task=retrain", "data=digits", "genotype=darts_v2", "train.epochs=2", "train.layers=1", "train.init_channels=2"),
    *("train.batch_size=400", "train.auxiliary_weight=0", "train.cutout=0"),
)


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-5, atol=1e-7)  # Adam enlarges what is nearly 0


def test_a_search_is_that_without_the_compiler_and_is_continued_and_derived_from(
    own: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*SEARCH, *own, "order=first", "search.weights.lr=1"]
    plain = finished(tmp_path / "plain", *command, *HARDWARE)
    whole = finished(tmp_path / "whole", *command, *COMPILED)
    assert_same(state(whole), state(plain))
    stopped_after_first_epoch(monkeypatch, tmp_path / "parts", *command, *COMPILED)
    assert_same(state(finished(tmp_path / "parts", *command, *COMPILED, "resume=true")), state(whole))
    derived = finished(tmp_path / "derived", "task=derive", f"run={whole}", "select=magnitude")
    assert (derived / "genotype.json").read_text() == (plain / "genotype.json").read_text()


def test_a_language_model_is_that_without_the_compiler_and_is_tested_and_exported(
    own: list[str], tmp_path: Path
) -> None:
    plain = finished(tmp_path / "plain", *RETRAIN, *own, *HARDWARE)
    whole = finished(tmp_path / "whole", *RETRAIN, *own, *COMPILED)
    assert_same(state(whole), state(plain))
    finished(tmp_path / "test", "task=test", f"run={whole}")
    finished(tmp_path / "export", "task=export", f"run={whole}", "format=pt2")


def test_a_classifier_is_that_without_the_compiler_and_is_tested_and_exported(tmp_path: Path) -> None:
    plain = finished(tmp_path / "plain", *IMAGES, *HARDWARE)
    whole = finished(tmp_path / "whole", *IMAGES, *COMPILED)  # with drop-path from the second epoch on
    assert_same(state(whole), state(plain))
    finished(tmp_path / "test", "task=test", f"run={whole}")
    finished(tmp_path / "export", "task=export", f"run={whole}", "format=pt2")
