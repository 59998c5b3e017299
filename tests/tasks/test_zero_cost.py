"""evaluator=zero_cost and task=correlate task.zero_cost, through commands."""

import json

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from darts_pl.bilevel import Draws
from darts_pl.cli import main
from darts_pl.data import load
from darts_pl.genotype import parse
from darts_pl.spaces import build
from darts_pl.spaces.nasbench201 import NasBench201
from darts_pl.strategies.race import HISTORY
from tests.tasks.conftest import csv_rows, finished

SIZES = ("search=nasbench201", "train.cells=1", "train.init_channels=4", "train.batch_size=50", "data=npz")
SMALL = (*SIZES, "hardware=cpu", "hardware.threads=1")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path, found = tmp_path_factory.mktemp("images") / "digits.npz", load("digits")
    arrays = {"x_train": found.x_train[:200], "y_train": found.y_train[:200]}
    np.savez(path, **arrays, x_test=np.zeros_like(found.x_test[:5]), y_test=found.y_test[:5])
    return f"data.path={path}"


def synaptic_flow(genotype: str) -> float:
    """Tanaka et al.'s score of the network that the command builds, by torch's own backward pass."""
    torch.manual_seed(Draws(0).seed("build"))
    network = build(parse(genotype), channels=4, cells=1, classes=10, in_channels=1).double()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, Plain())
    for parameter in network.parameters():
        parameter.data.abs_()
    network(torch.ones(1, 1, 8, 8, dtype=torch.float64)).sum().backward()
    layers = [one for one in network.modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    return float(sum((one.weight * one.weight.grad).sum() for one in layers if one.weight.grad is not None).detach())


class Plain(nn.Module):
    """In the place of a BatchNorm: returns its input."""

    def forward(self, x, scale=None):
        return x


def test_the_score_is_that_of_the_network_that_a_training_would_start_from(digits, tmp_path):
    command = (
        "task=strategy",
        "strategy=random",
        "evaluator=zero_cost",
        "evaluator.score=synflow",
        "budget.evaluations=4",
    )
    folder = finished(tmp_path, *command, *SMALL, digits)
    rows = csv_rows(folder / "ranking.csv")
    assert len(rows) == 4
    for row in rows:
        assert float(row["score"]) == pytest.approx(np.log1p(synaptic_flow(row["genotype"])), rel=1e-9)
    assert int(rows[0]["parameters"]) > 0


@pytest.mark.parametrize("score", ["naswot", "snip"])
def test_the_test_split_is_not_read(score, digits, tmp_path):
    with np.load(digits.partition("=")[2]) as arrays:
        real = dict(arrays) | {"x_test": load("digits").x_test, "y_test": load("digits").y_test}
    np.savez(tmp_path / "real.npz", **real)
    command = ("task=strategy", "strategy=random", "evaluator=zero_cost", f"evaluator.score={score}", *SMALL)
    for name, data in (("one", digits), ("other", f"data.path={tmp_path / 'real.npz'}")):
        finished(tmp_path / name, *command, "budget.evaluations=2", data)
    found = [[row["strategy/score"] for row in csv_rows(tmp_path / name / "metrics.csv")] for name in ("one", "other")]
    assert found[0] == found[1]
    assert len(set(found[0])) == 2


def test_one_genotype_gets_the_score_that_a_search_gives_it(digits, tmp_path):
    command = ("evaluator=zero_cost", "evaluator.score=naswot", *SMALL, digits)
    searched = finished(tmp_path / "search", "task=strategy", "strategy=random", "budget.evaluations=1", *command)
    row = json.loads((searched / HISTORY).read_text())
    genotype = json.loads((searched / "summary.json").read_text())["genotype"]
    one = finished(tmp_path / "one", "task=evaluate", f"genotype={genotype}", *command)
    summary = json.loads((one / "summary.json").read_text())
    assert summary["evaluate/score"] == row["scores"][0]
    assert json.loads((one / "evaluation.json").read_text())["scores"] == row["scores"]


def test_scores_at_initialization_are_correlated_with_the_table_and_none_is_computed_twice(
    digits, tmp_path, monkeypatch
):
    command = ("task=correlate", "task.zero_cost=[synflow,grad_norm]", "task.genotypes=12", "task.resamples=50")
    command = (*command, "task.batch_size=20", *SMALL, digits, f"hydra.run.dir={tmp_path}")
    assert main(command) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    rows, table = csv_rows(tmp_path / "scores.csv"), NasBench201()
    known = [table.lookup(parse(row["genotype"])).cifar10_test for row in rows]
    assert [float(row["score"]) for row in rows] == known
    for name in ("synflow", "grad_norm"):
        found = [float(row[name]) for row in rows]
        assert summary[f"correlate/{name}/spearman"] == pytest.approx(stats.spearmanr(found, known).statistic)
        assert summary[f"correlate/{name}/kendall"] == pytest.approx(stats.kendalltau(found, known).statistic)
    monkeypatch.setattr("darts_pl.tasks.evaluation.zero_cost.build", lambda *_, **__: pytest.fail("scored again"))
    assert main([*command, "resume=true"]) == 0
    assert csv_rows(tmp_path / "scores.csv") == rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluator.score=sinflow",), "unknown score 'sinflow'; did you mean 'synflow'"),
        (("evaluator.batch_size=1",), "evaluator.batch_size=1: must be at least 2"),
        (("evaluator.batch_size=101",), "evaluator.batch_size=101: the train split gives 100 images"),
        (("strategy=successive_halving",), "but evaluator=zero_cost trains no genotype; use evaluator=train"),
        (("budget.simulated_seconds=3",), "this evaluator simulates no time"),
        (("search=rnn", "data=pydocs"), "evaluator=zero_cost with search.space=rnn: its scores are those of image"),
    ],
)
def test_what_makes_no_score_is_refused_in_one_line(arguments, message, refused, digits):
    small = ("data=pydocs",) if "search=rnn" in arguments else (*SMALL, digits)
    error = refused(
        "task=strategy", "strategy=random", "evaluator=zero_cost", "budget.evaluations=2", *small, *arguments
    )
    assert message in error
    assert len(error.strip().splitlines()) == 1
