"""Searches without gradients through commands: what they find, what they leave, and what they refuse."""

import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from darts_pl.cli import main
from darts_pl.genotype import read
from darts_pl.interruption import interrupt
from darts_pl.spaces import build, build_space
from darts_pl.spaces.nasbench201 import OPERATIONS, NasBench201, genotype_of
from darts_pl.strategies import (
    Budget,
    CachedEvaluator,
    Encoding,
    SpaceTable,
    TableEvaluator,
    best_row,
    build_strategy,
    race,
)
from darts_pl.strategies.race import HISTORY, STATE
from tests.offline_wandb import offline_runs
from tests.strategies.conftest import CONF, settings_of
from tests.tasks.conftest import csv_rows, finished

DOCUMENT = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text(encoding="utf-8")
COMMANDS = [
    command.replace("\\\n", " ").split()
    for command in re.findall(r"^python run\.py (task=strategy(?:.*\\\n)*.*)$", DOCUMENT, flags=re.MULTILINE)
    if "evaluator=table" in command or "evaluator=" not in command
]
SEARCH = ("task=strategy", "strategy=evolution_small", "search=nasbench201", "evaluator=table", "seed=3")


def encoding() -> Encoding:
    return Encoding(build_space("nasbench201", OPERATIONS, 3), every_edge=True)


def arrays(epochs: int) -> TableEvaluator:
    """The evaluator that the published comparison uses, from whole columns of the table."""
    table = NasBench201()
    decisions = encoding()
    entries = [table.cell(number) for number in range(len(table))]
    integers = np.array([decisions.encode(genotype_of(cell)) for cell in entries])
    seconds = np.array([table.epoch_seconds(number) for number in range(len(table))])
    columns = {12: "cifar10_valid_ep12", 200: "cifar10_valid"}
    return TableEvaluator(decisions, integers, {epochs: table.column(columns[epochs])}, seconds)


def direct(evaluator: TableEvaluator, budget: Budget) -> list:
    strategy = build_strategy("evolution", encoding(), settings_of("evolution_small"), 3)
    return race(strategy, CachedEvaluator(evaluator, charge_repeats=True), budget)


def rows_of(folder: Path) -> list:
    rows = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    return without_time(rows)


def without_time(rows: list) -> list:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("strategy") / "run", *SEARCH, "budget.simulated_seconds=12000")


def test_the_command_finds_what_the_race_on_arrays_of_the_table_finds(searched):
    history = direct(arrays(12), Budget(evaluations=None, simulated_seconds=12000, seconds=None))
    found, expected = rows_of(searched), without_time(history)
    costs = [(row.pop("cost"), row.pop("simulated_seconds")) for row in [*found, *expected]]
    assert found == expected
    assert np.array(costs[: len(found)]) == pytest.approx(np.array(costs[len(found) :]), rel=1e-9)
    best = best_row(history)
    genotype = encoding().decode(best["integers"])
    assert read(searched / "genotype.json") == genotype
    summary, entry = json.loads((searched / "summary.json").read_text()), NasBench201().lookup(genotype)
    assert summary["strategy"] == "evolution"
    assert summary["strategy/evaluations"] == len(history)
    assert summary["strategy/score"] == entry.cifar10_valid_ep12
    assert summary["table/cifar10_test"] == entry.cifar10_test
    assert (searched / "cells.svg").is_file()
    assert (searched / "cells.png").is_file()


def test_the_table_of_metrics_has_the_best_score_so_far_against_the_budget(searched):
    rows = csv_rows(searched / "metrics.csv")
    history = rows_of(searched)
    scores = [row["scores"][0] for row in history]
    assert [float(row["strategy/score"]) for row in rows] == scores
    assert [float(row["strategy/best_score"]) for row in rows] == np.maximum.accumulate(scores).tolist()
    assert [float(row["simulated_seconds"]) for row in rows] == [row["simulated_seconds"] for row in history]
    assert [int(row["evaluations"]) for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("state", ["kept", "lost"])
def test_a_search_that_stopped_goes_on_with_the_same_questions_and_answers(searched, tmp_path, state):
    assert main([*SEARCH, "budget.evaluations=40", f"hydra.run.dir={tmp_path}"]) == 0
    with (tmp_path / HISTORY).open("a") as file:
        file.write('{"number": 40, "integ')  # as a process leaves it that is killed while it writes
    if state == "lost":
        (tmp_path / STATE).unlink()
    assert main([*SEARCH, "budget.simulated_seconds=12000", f"resume={tmp_path}"]) == 0
    assert rows_of(tmp_path) == rows_of(searched)
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (tmp_path, searched)]
    assert [{**one, "seconds": 0} for one in summaries[:1]] == [{**one, "seconds": 0} for one in summaries[1:]]


def test_a_search_that_is_terminated_says_how_to_continue_it(searched, tmp_path, monkeypatch, capsys):
    look_up = SpaceTable.__call__

    def terminated(self, question):
        if question.number == 30:
            interrupt(signal.SIGTERM)
        return look_up(self, question)

    command = (*SEARCH, "budget.simulated_seconds=12000", f"hydra.run.dir={tmp_path}")
    with monkeypatch.context() as patch:
        patch.setattr(SpaceTable, "__call__", terminated)
        assert main(command) == 143
    error = capsys.readouterr().err
    assert f"saved {tmp_path / HISTORY}" in error
    assert "repeat the command with resume=true" in error
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 1 + 30
    assert main([*command, "resume=true"]) == 0
    assert rows_of(tmp_path) == rows_of(searched)
    columns = [[row | {"seconds": None} for row in csv_rows(folder / "metrics.csv")] for folder in (tmp_path, searched)]
    assert columns[0] == columns[1]


def test_a_search_opens_no_data(searched, tmp_path):
    arguments = ("data=npz", f"data.path={tmp_path / 'missing.npz'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert main([*SEARCH, "budget.simulated_seconds=12000", *arguments]) == 0
    assert rows_of(tmp_path / "run") == rows_of(searched)


def test_scores_are_those_after_the_chosen_epochs(tmp_path):
    arguments = ("evaluator.epochs=200", "budget.evaluations=12", f"hydra.run.dir={tmp_path}")
    assert main([*SEARCH, *arguments]) == 0
    table = NasBench201()
    for row in rows_of(tmp_path):
        entry = table.lookup(encoding().decode(row["integers"]))
        assert row["scores"] == [entry.cifar10_valid]
        assert row["cost"] == pytest.approx(200 * entry.epoch_seconds)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[1])
def test_every_command_of_the_page_ends_with_the_best_of_its_answers(command, tmp_path, summary_of):
    summary = summary_of(tmp_path, *command, "budget.evaluations=18")
    rows = rows_of(tmp_path)
    longest = max(row["epochs"] or 12 for row in rows)
    assert summary["strategy/score"] == max(row["scores"][0] for row in rows if (row["epochs"] or 12) == longest)
    entry = NasBench201().lookup(summary["genotype"])
    assert summary["strategy/score"] == (entry.cifar10_valid_ep12 if longest == 12 else entry.cifar10_valid)


def test_the_page_has_a_command_for_every_strategy_and_names_every_evaluator():
    evaluators = {path.stem for path in (CONF.parent / "evaluator").glob("*.yaml")}
    assert {one.partition("=")[2] for one in re.findall(r"evaluator=[a-z_]+", DOCUMENT)} == evaluators
    assert {settings_of(command[1].partition("=")[2])["name"] for command in COMMANDS} == {
        settings_of(path.stem)["name"] for path in CONF.glob("*.yaml")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("strategy=evolutoin", "budget.evaluations=3"), "unknown strategy 'evolutoin'; did you mean 'evolution'"),
        (("strategy.name=evolutoin", "budget.evaluations=3"), "unknown strategy 'evolutoin'; did you mean 'evolution'"),
        ((), "budget: a search needs a limit; give at least one of budget.evaluations, budget.simulated_seconds"),
        (("budget.evaluations=0",), "budget.evaluations=0: must be at least 1"),
        (("budget.simulated_seconds=-1",), "budget.simulated_seconds=-1"),
        (
            ("search=cnn", "budget.evaluations=3"),
            "there is no table of convolutional genotypes; use search=nasbench201",
        ),
        (("search.nodes=4", "budget.evaluations=3"), "the table does not have cells of this size"),
        (("evaluator.epochs=50", "budget.evaluations=3"), "there is no training of 50 epochs; known: 12, 200 epochs"),
        (("strategy=evolution", "strategy.sample=0", "budget.evaluations=3"), "strategy.sample=0: must be at least 1"),
        (
            ("strategy=nsga2", "budget.evaluations=3"),
            "strategy.objectives=2: the evaluator gives 1 and task.costs adds 0; use strategy.objectives=1, or name",
        ),
        (
            ("strategy=nsga2", "task.costs=[parameters,multiply_adds]", "budget.evaluations=3"),
            "strategy.objectives=2: the evaluator gives 1 and task.costs adds 2; use strategy.objectives=3",
        ),
        (("strategy=successive_halving", "budget.evaluations=3"), "there is no training of 2 epochs"),
        (("task.costs=[flops]", "budget.evaluations=3"), "task.costs: unknown cost 'flops'; known: parameters"),
        (("task.costs=[latency_ms]", "budget.evaluations=3"), "needs task.latency=RUN, the folder of a run of task"),
        (
            ("task.costs=[latency_ms]", "task.latency=nowhere", "budget.evaluations=3"),
            "task.latency=nowhere: there is no latency.json",
        ),
        (("evaluator.name=trian", "budget.evaluations=3"), "unknown evaluator 'trian'; did you mean 'train'"),
    ],
)
def test_what_makes_no_search_is_refused_in_one_line(arguments, message, refused):
    error = refused("task=strategy", "search=nasbench201", *arguments)
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_costs_are_further_objectives_and_the_front_is_left(tmp_path):
    command = ("task=strategy", "strategy=nsga2", "strategy.population=6", "task.costs=[parameters,multiply_adds]")
    arguments = ("strategy.objectives=3", "search=nasbench201", "budget.evaluations=12")
    folder = finished(tmp_path, *command, *arguments)
    rows, found = rows_of(folder), {}
    for row in rows:
        genotype = encoding().decode(row["integers"])
        network = build(genotype, channels=16, cells=5, classes=10)
        parameters = sum(weight.numel() for weight in network.parameters())
        assert row["scores"][:2] == [NasBench201().lookup(genotype).cifar10_valid_ep12, -parameters]
        found[str(genotype)] = row["scores"]
    best = {
        text
        for text, scores in found.items()
        if not any(
            all(one >= own for one, own in zip(other, scores, strict=True)) and other != scores
            for other in found.values()
        )
    }
    front = csv_rows(folder / "pareto.csv")
    assert {row["genotype"] for row in front} == best
    assert [[float(row[name]) for name in ("parameters", "multiply_adds")] for row in front] == [
        [-one for one in found[row["genotype"]][1:]] for row in front
    ]
    assert json.loads((folder / "summary.json").read_text())["strategy/pareto_front"] == len(best)


@pytest.mark.slow
def test_wandb_gets_the_best_score_so_far_against_the_number_of_evaluations(tmp_path):
    folder = finished(tmp_path, *SEARCH, "budget.evaluations=6", "logger=[csv,wandb]")
    (run,) = offline_runs(folder)
    table = csv_rows(folder / "metrics.csv")
    for name in ("strategy/score", "strategy/best_score", "simulated_seconds"):
        logged = [row[name] for row in run.history if name in row]
        assert logged == pytest.approx([float(row[name]) for row in table])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("strategy=random", "strategy.name=evolution, and not strategy.name=random"),
        ("strategy.sample=4", "strategy.sample=3, and not strategy.sample=4"),
        ("seed=4", "seed=3, and not seed=4"),
        ("evaluator.epochs=200", "evaluator.epochs=12, and not evaluator.epochs=200"),
    ],
)
def test_a_folder_of_another_search_is_refused_and_stays_as_it_is(searched, tmp_path, capsys, change, message):
    folder = tmp_path / "run"
    shutil.copytree(searched, folder)
    assert main([*SEARCH, "budget.evaluations=200", f"hydra.run.dir={folder}", "resume=true", change]) == 2
    assert f"the search there has {message}; use another folder" in capsys.readouterr().err
    assert (folder / HISTORY).read_bytes() == (searched / HISTORY).read_bytes()


@pytest.mark.parametrize(("file", "content"), [(STATE, "{"), (STATE, "[]"), (HISTORY, "{}\n"), (HISTORY, "{\n")])
def test_a_damaged_file_is_named_in_one_line_and_stays_as_it_is(searched, tmp_path, capsys, file, content):
    folder = tmp_path / "run"
    shutil.copytree(searched, folder)
    (folder / file).write_text(content)
    assert main([*SEARCH, "budget.evaluations=200", f"hydra.run.dir={folder}", "resume=true"]) == 2
    error = capsys.readouterr().err
    assert f"{folder / file} is damaged; delete " in error
    assert len(error.strip().splitlines()) == 1
    assert (folder / file).read_text() == content


def test_without_its_damaged_state_a_search_continues_from_its_history(searched, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(searched, folder)
    (folder / STATE).unlink()  # as the message about a damaged one says
    count = len(rows_of(searched)) + 3
    assert main([*SEARCH, f"budget.evaluations={count}", f"hydra.run.dir={folder}", "resume=true"]) == 0
    assert rows_of(folder) == without_time(
        direct(arrays(12), Budget(evaluations=count, simulated_seconds=None, seconds=None))
    )
