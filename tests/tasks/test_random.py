"""Random search with short trainings, through commands: what it reads, what it leaves, and what it refuses."""

import json
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_pl.cli import main
from darts_pl.genotype import parse, read
from darts_pl.modules import ClassifierModule
from darts_pl.records.contents import run_paths
from darts_pl.strategies.race import HISTORY
from tests.tasks.conftest import csv_rows, finished
from tests.tasks.random_search import RANDOM, SMALL, answers, digits, images, searched, trained

__all__ = ["digits", "searched"]  # fixtures


def test_the_best_of_the_samples_is_the_genotype_and_the_summary_describes_all(searched):
    summary = json.loads((searched / "summary.json").read_text())
    ranking = csv_rows(searched / "ranking.csv")
    accuracies = [float(rows[-1]["retrain/valid_accuracy"]) for rows in trained(searched)]
    assert [row["scores"] for row in answers(searched)] == [[one] for one in accuracies]
    assert [float(row["score"]) for row in ranking] == sorted(accuracies, reverse=True)
    assert summary["strategy/score"] == max(accuracies)
    assert summary["strategy/score_mean"] == pytest.approx(statistics.mean(accuracies))
    assert summary["strategy/score_std"] == pytest.approx(statistics.stdev(accuracies))
    assert summary["genotype"] == ranking[0]["genotype"]
    assert read(searched / "genotype.json") == parse(ranking[0]["genotype"])
    assert int(ranking[0]["parameters"]) == summary["parameters"]
    assert (summary["task"], summary["evaluator"], summary["strategy/evaluations"]) == ("random", "train", 3)


#: What the page says that a search leaves, and what every run leaves.
LEFT = {
    *("genotype.json", "cells.png", "cells.svg", "summary.json", "metrics.csv", "ranking.csv", "history.jsonl"),
    *("strategy.json", "data.json", "warnings.json", "run.json", "report.html", "README.md"),
}


def test_the_files_of_a_random_search_are_those_that_the_pages_name_and_they_agree(searched):
    files = {path.name for path in searched.iterdir() if path.is_file()}
    assert files == LEFT
    assert {path.name for path in searched.iterdir() if path.is_dir()} == {".hydra", "samples", "tensorboard"}
    ours = {path.relative_to(searched).parts[0] for path in run_paths(searched)}
    assert ours == files | {"samples", "tensorboard"}
    page = (searched / "README.md").read_text()
    assert {name for name in files if name not in page} <= {"README.md"}
    rows = [json.loads(line) for line in (searched / HISTORY).read_text().splitlines()]
    metrics, ranking = csv_rows(searched / "metrics.csv"), csv_rows(searched / "ranking.csv")
    assert [float(row["strategy/score"]) for row in metrics] == [row["scores"][0] for row in rows]
    assert [float(row["seconds"]) for row in metrics] == [row["seconds"] for row in rows]
    assert len({row["genotype"] for row in ranking}) == len(rows)
    for row in rows:  # the sample's own files say what the history says
        sample = json.loads((searched / "samples" / f"{row['number']:03d}" / "summary.json").read_text())
        (ranked,) = [one for one in ranking if one["genotype"] == sample["genotype"]]
        assert float(ranked["score"]) == row["scores"][0]
        assert int(ranked["parameters"]) == sample["parameters"] == row["facts"]["parameters"]
    state = json.loads((searched / "strategy.json").read_text())
    assert (state["seed"], state["told"], state["open"]) == (0, len(rows), [])


def test_the_interval_of_the_best_score_is_wilsons_and_the_costs_are_counted_by_hand(searched):
    summary = json.loads((searched / "summary.json").read_text())
    n, p, z = 200, summary["strategy/score"], 1.959963984540054
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    assert summary["strategy/score_low"] == pytest.approx(middle - half, abs=1e-6)
    assert summary["strategy/score_high"] == pytest.approx(middle + half, abs=1e-6)
    assert summary["valid_samples"] == n
    assert summary["images"] == 3 * 2 * 200  # three trainings of two epochs of half of the 400 images
    assert summary["steps"] == 3 * 2 * 5  # in batches of 40


def test_a_search_and_its_rule_count_their_steps_and_the_images_of_both_halves(tmp_path, digits, summary_of):
    sizes = ("search.layers=3", "search.init_channels=2", "search.batch_size=50", "search.epochs=2", "order=first")
    sizes += ("search.candidates=[none,skip_connect,sep_conv_3x3]",)
    summary = summary_of(tmp_path, *SMALL, *sizes, f"data.path={digits}")
    assert (summary["steps"], summary["images"]) == (2 * 4, 2 * 2 * 200)
    # 6 decisions of each cell type, for 5 edges and 1 node: 5 times an epoch between them.
    rule = ("select=perturbation", "select.tune_epochs=1")
    derived = summary_of(tmp_path / "derived", "task=derive", f"run={tmp_path}", *rule)
    assert (derived["steps"], derived["images"]) == (5 * 4, 5 * 2 * 200)
    fixed = summary_of(tmp_path / "fixed", "task=derive", f"run={tmp_path}", *rule, "select.fix_alpha=true")
    assert (fixed["steps"], fixed["images"]) == (5 * 4, 5 * 200)
    at_the_end = summary_of(tmp_path / "at_the_end", *SMALL, *sizes, f"data.path={digits}", *rule)
    assert at_the_end["steps"] == summary["steps"] + derived["steps"]
    assert at_the_end["images"] == summary["images"] + derived["images"]


def test_the_loggers_get_the_best_score_so_far_against_the_number_of_evaluations(searched):
    events = EventAccumulator(str(searched / "tensorboard"))
    events.Reload()
    table = csv_rows(searched / "metrics.csv")
    for name in ("strategy/score", "strategy/best_score"):
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        assert shown == [(number, pytest.approx(float(row[name]))) for number, row in enumerate(table, start=1)]
    best = [float(row["strategy/best_score"]) for row in table]
    assert best == np.maximum.accumulate([float(row["strategy/score"]) for row in table]).tolist()
    assert "retrain/train_loss" not in events.Tags()["scalars"]


def test_the_test_split_is_not_read_and_the_strategy_random_with_the_evaluator_train_is_the_same_search(
    searched, tmp_path
):
    command = ("task=strategy", "strategy=random", "evaluator=train", "evaluator.epochs=2", "budget.evaluations=3")
    poisoned = images(tmp_path / "poisoned.npz", test="poisoned")
    finished(tmp_path / "run", *command, *SMALL, f"data.path={poisoned}")
    assert answers(tmp_path / "run") == answers(searched)
    assert trained(tmp_path / "run") == trained(searched)
    assert (tmp_path / "run" / "genotype.json").read_bytes() == (searched / "genotype.json").read_bytes()


@pytest.mark.slow
def test_the_test_text_is_not_read(tmp_path):
    draw = np.random.default_rng(0)
    rows = [" ".join(f"w{word}" for word in draw.integers(0, 20, 7)) for _ in range(180)]
    small = (
        *("search=rnn", "data=text", "search.nodes=2", "train.units=6", "train.batch_size=8", "train.bptt=10"),
        *("train.length_spread=0", "train.length_margin=0", "data.eval_batch_size=4", "hardware=cpu"),
        *("task=random", "task.samples=2", "evaluator.epochs=2", "hardware.threads=1"),
    )
    for name, rest in (("plain", rows[:20]), ("poisoned", ["w1"] * 20)):
        text = tmp_path / f"{name}.txt"
        text.write_text("\n".join(rows + rest) + "\n")
        finished(tmp_path / name, *small, f"data.path={text}")
    assert answers(tmp_path / "plain") == answers(tmp_path / "poisoned")
    for row in answers(tmp_path / "plain"):
        assert row["scores"] == [-row["facts"]["retrain/best_valid_perplexity"]]
        assert row["facts"]["words"] == 2 * 8 * (160 - 1)  # twice 160 lines of 8 words, in 8 columns
    summary = json.loads((tmp_path / "plain" / "summary.json").read_text())
    assert summary["retrain/best_valid_perplexity"] == -summary["strategy/score"]
    assert "strategy/score_low" not in summary  # a perplexity is no fraction of samples


def test_a_training_that_diverges_counts_as_the_worst_and_the_search_goes_on(tmp_path, digits, monkeypatch):
    step = ClassifierModule.training_step

    def diverging(self, batch, index):
        loss = step(self, batch, index)
        if str(self.trainer.default_root_dir).endswith("000"):
            self.finite.observe(loss * float("nan"))
        return loss

    monkeypatch.setattr(ClassifierModule, "training_step", diverging)
    finished(tmp_path, *RANDOM, f"data.path={digits}", "task.samples=2")
    rows = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert rows[0]["scores"] is None
    assert "diverged" in rows[0]["failure"]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["strategy/failures"], summary["strategy/best_evaluation"]) == (1, 2)


@pytest.mark.slow
def test_the_epochs_of_successive_halving_are_those_of_the_trainings(tmp_path, digits):
    command = ("task=strategy", "strategy=successive_halving", "evaluator=train", "budget.evaluations=3")
    rungs = ("strategy.eta=2", "strategy.min_epochs=1", "strategy.max_epochs=2")
    finished(tmp_path, *command, *rungs, *SMALL, f"data.path={digits}")
    rows = answers(tmp_path)
    assert [row["epochs"] for row in rows] == [1, 1, 2] == [len(one) for one in trained(tmp_path)]
    assert rows[2]["integers"] == max(rows[:2], key=lambda row: row["scores"][0])["integers"]
    assert int(csv_rows(tmp_path / "ranking.csv")[0]["epochs"]) == 2


SEARCH = ("search.layers=3", "search.init_channels=2", "search.batch_size=50", "search.epochs=1", "order=first")


@pytest.fixture(scope="module")
def supernet(tmp_path_factory, digits):
    return finished(
        tmp_path_factory.mktemp("supernet") / "run", *SMALL, *SEARCH, f"data.path={digits}", "search.nodes=1"
    )


def test_shared_weights_give_the_scores_that_the_selection_rule_gives(supernet, tmp_path, digits):
    finished(tmp_path / "rule", "task=derive", f"run={supernet}", "select=shared_weights", "select.samples=16")
    decided = json.loads((tmp_path / "rule" / "selection.json").read_text())["ranking"]["genotypes"]
    expected = {str(parse(one["genotype"])): one["accuracy"] for one in decided}
    command = ("task=strategy", "evaluator=shared_weights", f"evaluator.run={supernet}", "strategy.distinct=true")
    finished(
        *(tmp_path / "run", *command, "budget.evaluations=16", *SMALL, "search.nodes=1", f"data.path={digits}"),
    )
    found = {row["genotype"]: float(row["score"]) for row in csv_rows(tmp_path / "run" / "ranking.csv")}
    assert len(found) == 16 == len(expected)  # two operations on each of the two edges of both cells
    assert found == pytest.approx(expected, rel=1e-12)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["valid_samples"] == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("task=random", "task.samples=0"), "task.samples=0: must be at least 1"),
        (("task=random", "evaluator.name=trian"), "unknown evaluator 'trian'; did you mean 'train'"),
        (("task=random", "strategy=evolution"), "strategy.name=evolution with task=random"),
        (("task=random", "evaluator.epochs=0"), "evaluator.epochs=0: must be at least 1"),
        (("task=random", "train.batch_size=201"), "train.batch_size=201"),
        (("task=random", "hardware.devices=2"), "hardware.devices=2: evaluator=train uses one"),
        (("task=random", "budget.simulated_seconds=5"), "this evaluator simulates no time"),
        (("task=evaluate", "evaluator=shared_weights", "genotype=darts_v2"), "evaluator.run is missing"),
        (("evaluator=shared_weights", "evaluator.run=nowhere"), "evaluator.run=nowhere: there is no such folder"),
        (
            ("evaluator=shared_weights", "evaluator.run={supernet}"),
            "a search with search.nodes=1, and not search.nodes=2",
        ),
        (("evaluator=shared_weights", "evaluator.run={random}"), "not the folder of a search"),
        (("evaluator=shared_weights", "evaluator.run={unfinished}"), "the search is not finished"),
        (
            ("evaluator=shared_weights", "evaluator.run={supernet}", "search=nasbench201"),
            "a search with search.space=cnn, and not search.space=nasbench201",
        ),
        (
            (
                *("evaluator=shared_weights", "evaluator.run={supernet}", "search.nodes=1"),
                "strategy=successive_halving",
            ),
            "strategy=successive_halving says for how many epochs to train, but evaluator=shared_weights trains no",
        ),
    ],
)
def test_what_makes_no_search_is_refused_in_one_line(arguments, message, refused, searched, supernet, digits, tmp_path):
    unfinished = Path(shutil.copytree(supernet, tmp_path / "unfinished"))
    (unfinished / "genotype.json").unlink()
    places = {"supernet": supernet, "random": searched, "unfinished": unfinished}
    given = [one.format(**places) for one in arguments]
    other_space = any(one.startswith("search=") for one in given)
    small = () if other_space else SMALL
    error = refused("task=strategy", "budget.evaluations=3", *small, f"data.path={digits}", *given)
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_images_for_a_recurrent_cell_are_refused_before_the_first_question(refused):
    error = refused("task=random", "search=rnn", "data=digits")
    assert "a recurrent genotype builds a language model, but data=digits holds images" in error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("evaluator.epochs=3", "evaluator.epochs=2, and not evaluator.epochs=3"),
        ("train.lr=0.1", "train.lr=0.025, and not train.lr=0.1"),
        ("search.train_portion=0.6", "search.train_portion=0.5, and not search.train_portion=0.6"),
    ],
)
def test_a_folder_of_another_search_is_refused(searched, tmp_path, digits, capsys, change, message):
    folder = Path(shutil.copytree(searched, tmp_path / "run"))
    assert main([*RANDOM, f"data.path={digits}", f"resume={folder}", change]) == 2
    assert message in capsys.readouterr().err
    assert (folder / HISTORY).read_bytes() == (searched / HISTORY).read_bytes()
