"""A search of two stages, a user's component: its history, and kills in the second stage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.methods import toy_stages
from tests.methods.conftest import killed_search, left_by, run_in_two_processes, search

NAMES = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3")
ARGUMENTS = (
    "imports=[tests.methods.toy_stages]",
    "stages=toy",
    f"search.candidates=[{','.join(NAMES)}]",
    "search.init_channels=2",
    "search.epochs=4",
    "order=first",
    "save_every=1",
)


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of group files that chooses the user's component."""
    folder = tmp_path_factory.mktemp("groups")
    (folder / "stages").mkdir()
    (folder / "stages" / "toy.yaml").write_text("name: toy\n")
    return folder


@pytest.fixture(scope="module")
def arguments(groups: Path) -> tuple[str, ...]:
    return (f"--config-dir={groups}", *ARGUMENTS)


@pytest.fixture(scope="module")
def whole(arguments: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that was never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert search(folder, *arguments) == 0
    return folder


def test_the_history_of_the_second_stage_stands_in_the_columns_of_the_first(whole: Path) -> None:
    facts = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)["stages"]
    assert facts["index"] == 1
    with np.load(whole / "alphas.npz") as alphas:
        for name in ("normal", "reduce"):
            rows = alphas[name]
            assert rows.shape == (5, 5, len(NAMES))
            assert not np.isnan(rows[:3]).any()
            assert np.array_equal(rows[0], rows[1])  # the warm-up of the first stage
            assert not np.array_equal(rows[1], rows[2])
            kept = np.array([[candidate in edge for candidate in NAMES] for edge in facts["facts"][name]])
            assert kept.sum(1).tolist() == [toy_stages.KEPT] * 5
            for row in rows[3:]:
                assert np.array_equal(~np.isnan(row), kept)
            strongest = np.argsort(-rows[2], axis=1, kind="stable")[:, : toy_stages.KEPT]
            assert all(kept[edge, column] for edge, columns in enumerate(strongest) for column in columns)


def test_metrics_tell_the_stage_and_the_learning_rate_starts_again(whole: Path) -> None:
    rows = left_by(whole)["metrics"]
    assert [float(row["search/stage"]) for row in rows] == [0, 0, 1, 1]
    lr = [float(row["search/lr"]) for row in rows]
    assert lr[2:] == lr[:2]
    assert lr[0] > lr[1]


def test_the_genotype_uses_the_candidates_of_the_last_stage(whole: Path) -> None:
    facts = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)["stages"]["facts"]
    genotype = json.loads((whole / "genotype.json").read_text())
    edges = [(source, target) for target in (2, 3) for source in range(target)]
    for name in ("normal", "reduce"):
        for number, (operation, source) in enumerate(genotype[name]):
            assert operation in facts[name][edges.index((source, 2 + number // 2))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epoch", "batch"),
    [(0, 0), (1, None), (2, 0), (2, None), (3, 0)],
    ids=["stage 1", "between the stages", "stage 2, first batch", "stage 2, between epochs", "stage 2, last epoch"],
)
def test_a_search_killed_in_either_stage_and_resumed_is_bitwise_one_never_stopped(
    epoch: int,
    batch: int | None,
    arguments: tuple[str, ...],
    whole: Path,
    tmp_path: Path,
    assert_same_run: Callable[[Path, Path], None],
) -> None:
    folder = tmp_path / "run"
    killed_search(folder, epoch, batch, *arguments)
    assert search(folder, *arguments, "resume=true") == 0
    assert_same_run(whole, folder)


@pytest.mark.slow
def test_two_processes_build_the_same_second_stage_and_resume_in_it_bitwise(
    arguments: tuple[str, ...], tmp_path: Path, assert_same_run: Callable[[Path, Path], None]
) -> None:
    imports = "imports=[tests.methods.toy_stages,tests.methods.dying]"

    def run(name: str, *more: str, **variables: str) -> int:
        return run_in_two_processes(tmp_path / name, *arguments, imports, *more, **variables)

    assert run("whole") == 0, (tmp_path / "whole.log").read_text()
    assert run("parts", DIE_AFTER="2") != 0  # in the second stage
    assert (tmp_path / "parts" / "checkpoints" / "last.ckpt").exists()
    assert not (tmp_path / "parts" / "genotype.json").exists()
    assert run("parts", "resume=true") == 0, (tmp_path / "parts.log").read_text()
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
