"""What a search of each method shows and leaves behind: its own quantities in W&B, a folder to derive from again."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from darts_pl.cli import config_folder, main
from darts_pl.genotype import parse
from tests.methods.conftest import search
from tests.methods.test_contracts import METHODS, overrides
from tests.offline_wandb import offline_runs

pytestmark = pytest.mark.slow

#: What a method logs that others do not.
OWN = {
    "darts": ("search/entropy_normal", "search/skip_connections"),
    "darts_minus": ("search/skip_beta", "search/skip_connections"),
    "dr_nas": ("search/stage", "search/entropy_normal"),
    "fair_darts": ("search/entropy_normal",),
    "gdas": ("search/temperature",),
    "gdas_frc": ("search/temperature",),
    "oles": ("freeze/frozen_fraction", "freeze/similarity"),
    "p_darts": ("search/stage", "search/skip_dropout", "search/skip_connections"),
    "pc_darts": ("search/largest_edge_weight_normal", "search/largest_edge_weight_reduce"),
    "r_darts": ("early_stop/eigenvalue",),
    "sdarts_adv": ("search/epsilon",),
    "sdarts_rs": ("search/epsilon",),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By method the folder of a search that W&B followed offline."""
    done: dict[str, Path] = {}

    def folder(method: str) -> Path:
        if method not in done:
            done[method] = tmp_path_factory.mktemp(method) / "run"
            more = ("logger=[csv,wandb]", "logger.wandb.mode=offline", "logger.alphas=true")
            assert search(done[method], *overrides(method), *more) == 0
        return done[method]

    return folder


@pytest.mark.parametrize("method", METHODS)
def test_wandb_has_the_methods_own_quantities_of_every_epoch(method: str, finished: Callable[[str], Path]) -> None:
    (run,) = offline_runs(finished(method))
    with (finished(method) / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in OWN[method]:
        told = [float(row[name]) for row in rows if row[name]]
        assert told
        assert list(run.values(name).values()) == pytest.approx(told)
    betas = {name for row in run.history for name in row if name.startswith("beta/")}
    assert betas == (
        {f"beta/{cell}/edge_0{edge}" for cell in ("normal", "reduce") for edge in range(5)}
        if method == "pc_darts"
        else set()
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_finished_search_is_derived_again_to_its_genotype_by_its_rule_and_by_another_one(
    method: str, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    run = f"run={finished(method)}"
    (rule,) = re.findall(r"override /(select: \w+)", (config_folder() / "method" / f"{method}.yaml").read_text())
    own = [rule.replace(": ", "="), *(one for one in overrides(method) if one.startswith("select."))]
    assert main(["task=derive", run, *own, f"hydra.run.dir={tmp_path / 'same'}"]) == 0
    same, first = ((folder / "genotype.json").read_text() for folder in (tmp_path / "same", finished(method)))
    assert parse(same) == parse(first)
    other = ("select=shared_weights", "select.samples=4")
    assert main(["task=derive", run, *other, f"hydra.run.dir={tmp_path / 'other'}"]) == 0
    assert [*parse((tmp_path / "other" / "genotype.json").read_text()).cells] == [*parse(first).cells]
