"""A search that is ended early is left as it was in the epoch that it takes; one that goes back may have stages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from darts_pl.bilevel import Observer, SearchStep, Stop
from darts_pl.cli import main
from darts_pl.genotype import parse
from tests.methods.conftest import killed_search, left_by, search
from tests.methods.test_contracts import METHODS, overrides
from tests.methods.test_curvature import COMMON, last, rule

#: Decides after the third epoch to take the first.
STOPS = (*COMMON, *rule("early_stop"), "observers.early_stop.delta=2", "search.epochs=6", "search.init_channels=4")
PERTURBATION = ("select=perturbation", "select.tune_epochs=1", "select.criterion=loss")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that was ended early, whose rule trains the supernet."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    assert search(folder, *STOPS, *PERTURBATION) == 0
    return folder


def derive(folder: Path, run: Path, *rule: str) -> str:
    assert main(["task=derive", f"run={run}", *rule, f"hydra.run.dir={folder}"]) == 0
    return (folder / "genotype.json").read_text()


def test_the_state_of_the_epoch_that_is_taken_stays_and_no_other_earlier_one(stopped: Path) -> None:
    assert sorted(path.name for path in (stopped / "checkpoints").glob("*.ckpt")) == [
        "last.ckpt",
        "previous.ckpt",
        "taken.ckpt",
    ]
    taken = torch.load(stopped / "checkpoints" / "taken.ckpt", weights_only=True)
    assert (taken["epoch"], last(stopped)["epoch"]) == (0, 2)
    with np.load(stopped / "alphas.npz") as alphas:
        for name in ("normal", "reduce"):
            kept, ended = (state["state_dict"][f"supernet.arch.alphas.{name}"] for state in (taken, last(stopped)))
            assert np.array_equal(kept, alphas[name][1])
            assert np.array_equal(ended, alphas[name][3])
            assert not np.array_equal(kept, ended)


def test_a_rule_that_trains_the_supernet_goes_on_from_the_epoch_that_is_taken(stopped: Path, tmp_path: Path) -> None:
    # The same search, killed after that epoch, is the one that the rule has to see.
    killed_search(tmp_path / "killed", 0, None, *STOPS)
    (tmp_path / "killed" / "genotype.json").write_text((stopped / "genotype.json").read_text())
    expected = derive(tmp_path / "expected", tmp_path / "killed", *PERTURBATION)
    assert parse((stopped / "genotype.json").read_text()) == parse(expected)
    decided = [json.loads((folder / "selection.json").read_text()) for folder in (stopped, tmp_path / "expected")]
    for one in decided:
        del one["settings"]
    assert len(decided[0]) == 4  # two edges of each cell
    assert decided[0] == decided[1]


def test_a_search_that_was_ended_early_is_derived_again_from_the_epoch_that_it_took(
    stopped: Path, tmp_path: Path
) -> None:
    lines = (stopped / "genotypes.jsonl").read_text().splitlines()
    assert parse(lines[1]) != parse(lines[3])
    found = derive(tmp_path / "magnitude", stopped, "select=magnitude")
    assert parse(found) == parse(lines[1])
    assert parse(derive(tmp_path / "again", stopped, *PERTURBATION)) == parse((stopped / "genotype.json").read_text())


def test_a_search_of_stages_takes_the_last_epoch_of_the_stage_before(tmp_path: Path) -> None:
    arguments = (*COMMON, *rule("early_stop"), "observers.early_stop.first_epoch=1", "search.epochs=4")
    own = ("edges=partial_channels", "edges.k=2", "stages=widening", "stages.k=[1]", "stages.keep=[2]")
    more = ("stages.warmup_epochs=0", "search.init_channels=4", "select=shared_weights", "select.criterion=loss")
    assert search(tmp_path / "run", *arguments, *own, *more) == 0
    taken = torch.load(tmp_path / "run" / "checkpoints" / "taken.ckpt", weights_only=True)
    assert (taken["stages"]["index"], last(tmp_path / "run")["stages"]["index"]) == (0, 1)
    # All three candidates are there again, and "none" is never chosen.
    again = derive(tmp_path / "again", tmp_path / "run", *more[-2:])
    assert parse(again) == parse((tmp_path / "run" / "genotype.json").read_text())
    lines = (tmp_path / "run" / "genotypes.jsonl").read_text().splitlines()
    assert parse(derive(tmp_path / "magnitude", tmp_path / "run", "select=magnitude")) == parse(lines[2])


class EndsInThe(Observer):
    """Ends a search after its second epoch with the genotype of some epoch, and keeps no states."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, search: SearchStep) -> Stop | None:
        return Stop(self.epoch) if epoch == 1 else None


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_observer_that_keeps_no_states_gives_the_strongest_genotype_of_its_epoch(
    epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darts_pl.problems.search.OBSERVERS.build", lambda settings: EndsInThe(epoch))
    assert search(tmp_path / "run", *COMMON, "observers=[skip_count]", "search.epochs=3") == 0
    lines = (tmp_path / "run" / "genotypes.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert parse((tmp_path / "run" / "genotype.json").read_text()) == parse(lines[epoch + 1])


@pytest.mark.parametrize("stages", ["widening", pytest.param("deepening", marks=pytest.mark.slow)])
def test_a_search_of_stages_goes_back_over_their_border_and_keeps_the_larger_weight_decay(
    stages: str, tmp_path: Path, assert_same_run: Callable[[Path, Path], None]
) -> None:
    own = {
        "widening": ("edges=partial_channels", "edges.k=2", "stages.k=[1]"),
        "deepening": ("stages.added_layers=[1]",),
    }
    arguments = (
        *COMMON,
        *rule("adaptive_decay"),
        f"stages={stages}",
        *own[stages],
        "stages.keep=[2]",
        "stages.warmup_epochs=0",
        "search.init_channels=4",
        "search.epochs=4",
        "search.weights.weight_decay=3e-3",
        "observers.adaptive_decay.first_epoch=1",
    )
    assert search(tmp_path / "whole", *arguments) == 0
    state = last(tmp_path / "whole")
    # Epochs 0, 1, 2, back to the end of 1, then 2 and 3, both in the second stage: nothing larger than 0.03.
    (observers,) = [one for one in state["callbacks"].values() if "roll_backs" in one]
    assert (observers["roll_backs"], state["stages"]["index"]) == (1, 1)
    assert len(observers["observers"]["adaptive_decay"]["values"]) == 5
    assert state["optimizer_states"][0]["param_groups"][0]["weight_decay"] == pytest.approx(0.03)
    assert [float(row["search/stage"]) for row in left_by(tmp_path / "whole")["metrics"]] == [0, 0, 1, 1]
    killed_search(tmp_path / "parts", 2, None, *arguments)  # decided to go back, and not yet done so
    assert search(tmp_path / "parts", *arguments, "resume=true") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_back_and_resumes_bitwise_where_it_was_killed_before_it_did(
    method: str, tmp_path: Path, assert_same_run: Callable[[Path, Path], None]
) -> None:
    own = [one for one in overrides(method) if not one.startswith("observers.early_stop")]
    observers = {"oles": "[freeze,adaptive_decay]"}.get(method, "[adaptive_decay]")
    back = [one for one in rule("adaptive_decay") if not one.startswith("observers=")]
    arguments = (*own, *back, f"observers={observers}", "search.epochs=4", "search.weights.weight_decay=3e-3")
    assert search(tmp_path / "whole", *arguments) == 0
    (found,) = [one for one in last(tmp_path / "whole")["callbacks"].values() if "roll_backs" in one]
    assert found["roll_backs"] == 1  # with the next one the weight decay would exceed its largest value
    assert len(left_by(tmp_path / "whole")["metrics"]) == 4
    killed_search(tmp_path / "parts", 1, None, *arguments)
    assert search(tmp_path / "parts", *arguments, "resume=true") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
