"""DARTS-: what a search logs of its auxiliary skip connection, and what derives from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from darts_pl.cli import main
from tests.methods.conftest import search
from tests.methods.test_contracts import metrics, overrides


def test_a_search_logs_a_beta_that_falls_and_keeps_none_in_its_checkpoint(tmp_path: Path) -> None:
    assert search(tmp_path, *overrides("darts_minus"), "search.epochs=4") == 0
    assert metrics(tmp_path)["search/skip_beta"] == pytest.approx([1.0, 0.75, 0.5, 0.25])
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert not any("beta" in name for name in state)
    # Nodes 0 and 1 of the two reduction cells are read at stride 2: two convolutions each.
    assert sum("auxiliary_op.conv" in name for name in state) == 2 * 2 * 2


@pytest.mark.slow
def test_it_searches_nasbench201(tmp_path: Path) -> None:
    arguments = ("search=nasbench201", "search.init_channels=4", "search.cells=1", "search.epochs=1")
    more = ("data=digits", "search.batch_size=240", "method=darts_minus")
    assert main([*more, *arguments, f"hydra.run.dir={tmp_path}"]) == 0
    assert metrics(tmp_path)["search/skip_beta"] == [1.0]


@pytest.mark.slow
def test_a_finished_search_is_derived_by_perturbation_without_the_path(tmp_path: Path) -> None:
    assert search(tmp_path / "search", *overrides("darts_minus"), "search.epochs=1") == 0
    arguments = ("task=derive", f"run={tmp_path / 'search'}", "select=perturbation", "select.tune_epochs=0")
    assert main([*arguments, f"hydra.run.dir={tmp_path / 'derived'}"]) == 0
    assert search(tmp_path / "at once", *overrides("darts_minus"), "search.epochs=1", *arguments[2:]) == 0
    decided = [(tmp_path / name / "genotype.json").read_text() for name in ("derived", "at once")]
    assert decided[0] == decided[1]
