"""The comparison of strategies: its objectives, its table, and that it can be continued."""

import csv
import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon
from sklearn.linear_model import Ridge

import strategies
from darts_pl.strategies import CachedEvaluator, Features
from strategy_objectives import FULL_EPOCHS, Surrogate, Synthetic, Table, convolutional_encoding
from tests.strategies.conftest import TABLE_OPERATIONS
from tests.strategies.test_race import question
from tests.strategies.test_study_report import texts_of


@pytest.fixture(scope="module")
def table_file(tmp_path_factory) -> Path:
    """All 15,625 cells with made-up accuracies, in the form of the table's file."""
    draw = np.random.default_rng(0)
    ops = np.array(list(itertools.product(range(5), repeat=6)), dtype=np.uint8)
    valid = (ops @ np.arange(1, 7)).astype(float) + draw.normal(size=len(ops))
    path = tmp_path_factory.mktemp("table") / "table.npz"
    np.savez(
        path,
        ops=ops,
        op_names=np.array(TABLE_OPERATIONS),
        cifar10_valid_ep12=valid,
        cifar10_test=valid + draw.normal(size=len(ops)),
        epoch_seconds=5 + ops.sum(1) / 4,
        params=100_000 * (1 + ops.sum(1)),
    )
    return path


@pytest.fixture(scope="module")
def cells_file(tmp_path_factory) -> Path:
    """Cells of the DARTS space with made-up accuracies, in the form of the sample's file."""
    encoding = convolutional_encoding()
    names = list(encoding.nodes[0].operations)
    genotypes = [encoding.decode(encoding.draw(random.Random(seed))) for seed in range(60)]
    pairs = [[genotype.cells[name].pairs for name in ("normal", "reduce")] for genotype in genotypes]
    path = tmp_path_factory.mktemp("cells") / "cells.npz"
    np.savez(
        path,
        op_names=np.array(names),
        source=np.array([[[pair.source for pair in cell] for cell in cells] for cells in pairs], dtype=np.uint8),
        ops=np.array([[[names.index(pair.operation) for pair in cell] for cell in cells] for cells in pairs]),
        valid=np.random.default_rng(1).normal(93, 1, size=60),
    )
    return path


def value_again(objective, genotype) -> float:
    """The synthetic objective from its description, by recursion over a genotype."""
    result = 1.0
    for name, cell in genotype.cells.items():

        def value(node, name=name, cell=cell):
            if node < 2:
                return 1.0
            pairs = cell.nodes[node - 2]
            worth = [objective.worth[name, node, pair.source, pair.operation] for pair in pairs]
            return sum(one * (1 + value(pair.source)) / 2 for one, pair in zip(worth, pairs, strict=True)) / 2

        result *= sum(map(value, range(2, 6))) / 4
    return result


def test_the_synthetic_objective_is_what_its_description_says():
    objective = Synthetic(3)
    for seed in range(20):
        integers = objective.encoding.draw(random.Random(seed))
        expected = value_again(objective, objective.encoding.decode(integers))
        assert objective.value(integers) == pytest.approx(expected, rel=1e-12)


def test_the_optimum_is_one_and_nothing_else_reaches_it():
    objective = Synthetic(0)
    assert objective.value(objective.optimum) == pytest.approx(1)
    others = [objective.encoding.draw(random.Random(seed)) for seed in range(500)]
    others += objective.encoding.neighbours(objective.optimum)
    assert max(map(objective.value, others)) < 0.995
    away = [one for one in objective.worth.values() if one != 1]
    assert max(away) <= 0.8
    assert sum(one == 1 for one in objective.worth.values()) == 16  # the pairs of the target


def test_decisions_of_the_synthetic_objective_interact():
    objective = Synthetic(0)
    start, encoding = objective.optimum, objective.encoding
    first, second = encoding.moves(start, 1)[0], encoding.moves(start, 13)[0]  # one decision of each cell type
    both = (*first[:13], second[13], *first[14:])
    interaction = objective.value(both) - objective.value(first) - objective.value(second) + 1
    assert abs(interaction) > 1e-3


def test_fewer_epochs_cost_less_and_are_noisy():
    objective = Synthetic(0)
    exact = objective.value(objective.optimum)
    one = question_of(objective, FULL_EPOCHS)
    assert objective(one) == ((pytest.approx(exact),), 1.0, None, False, {})
    short = objective(question_of(objective, FULL_EPOCHS // 9))
    assert short.simulated_seconds == pytest.approx(1 / 9)
    assert 0 < abs(short.scores[0] - exact) < 0.3


def question_of(objective, epochs):
    return question((0, 0, 0))._replace(integers=objective.optimum, epochs=epochs)


def test_the_surrogate_is_scikit_learn_s_ridge_regression_and_its_best_cell_is_found(cells_file):
    surrogate = Surrogate(cells_file, penalty=2.0)
    with np.load(cells_file) as data:
        valid = data["valid"]
    genotypes = [surrogate.encoding.draw(random.Random(seed)) for seed in range(60)]
    ridge = Ridge(alpha=2.0).fit(Features(surrogate.encoding).matrix(genotypes), valid)
    new = [surrogate.encoding.draw(random.Random(seed)) for seed in range(100, 120)]
    predicted = ridge.predict(Features(surrogate.encoding).matrix(new))
    assert [surrogate.value(one) for one in new] == pytest.approx(predicted, abs=1e-6)
    climbed = [surrogate.encoding.draw(random.Random(seed)) for seed in range(3)]
    for index, integers in enumerate(climbed):
        while surrogate.value(best := max(surrogate.encoding.neighbours(integers), key=surrogate.value)) > (
            surrogate.value(integers) + 1e-12
        ):
            integers = best
        climbed[index] = integers
    assert surrogate.best() >= max(map(surrogate.value, climbed)) - 1e-9
    assert surrogate.best() == pytest.approx(max(map(surrogate.value, climbed)), abs=0.3)


def test_the_cell_with_the_best_validation_accuracy_is_scored_by_its_test_accuracy(table_file):
    table = Table(table_file)
    row = strategies.on_table(table, "random", 0)
    history = strategies.run(
        "random",
        table.encoding,
        table.evaluator(),
        strategies.Budget(evaluations=row["evaluations"], simulated_seconds=None, seconds=None),
        0,
    )
    codes = [int("".join(map(str, one["integers"])), 5) for one in history]
    assert row["valid"] == pytest.approx(table.valid[codes].max(), abs=1e-3)
    assert row["test"] == pytest.approx(table.test[codes][table.valid[codes].argmax()], abs=1e-3)
    spent = 12 * table.epoch_seconds[codes].cumsum()
    assert spent[-2] < 12_000 <= spent[-1]
    done = int((spent <= 6000).sum())
    assert row["test_6000s"] == pytest.approx(table.test[codes[:done]][table.valid[codes[:done]].argmax()], abs=1e-3)


def test_a_stopped_comparison_is_continued_and_reported(table_file, tmp_path, monkeypatch):
    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["strategies.py", *arguments, "--results", str(tmp_path)])
        strategies.main()

    start = ["nasbench201", "--table", str(table_file), "--only", "random", "evolution_small"]
    command(*start, "--repetitions", "2")
    path = tmp_path / "strategies_nasbench201.csv"
    before = path.read_text().splitlines()
    command(*start, "--repetitions", "3")
    after = path.read_text().splitlines()
    assert after[: len(before)] == before
    rows = list(csv.DictReader(after))
    assert sorted((row["strategy"], row["seed"]) for row in rows) == sorted(
        (name, str(seed)) for name in ("random", "evolution_small") for seed in range(3)
    )
    command("report")
    written = (tmp_path / "strategies.md").read_text()
    mean = np.mean([float(row["test"]) for row in rows if row["strategy"] == "random"])
    assert f"| `random` | {mean:.2f} ±" in written
    picture = (tmp_path / "strategies_nasbench201.svg").read_bytes()
    assert {"evolution_small (3)", "random (3 searches)"} <= set(texts_of(picture))
    command("report")
    assert (tmp_path / "strategies_nasbench201.svg").read_bytes() == picture


def better_than_random(name, seeds, evaluations, monkeypatch) -> float:
    """The p-value of the paired test that the study makes."""
    monkeypatch.setattr(strategies, "EVALUATIONS", evaluations)
    found, baseline = (
        [strategies.on_cells(Synthetic(seed), one, seed)[f"best_{evaluations}"] for seed in range(seeds)]
        for one in (name, "random")
    )
    return wilcoxon(np.subtract(found, baseline), alternative="greater").pvalue


def test_evolution_beats_random_search_on_the_synthetic_objective(monkeypatch):
    assert better_than_random("evolution_small", 10, 300, monkeypatch) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pnas", "bayesian"])
def test_model_based_strategies_beat_random_search_on_the_synthetic_objective(name, monkeypatch):
    assert better_than_random(name, 8, 50, monkeypatch) < 0.01


def test_a_repeated_cell_is_charged_again(table_file):
    evaluator = CachedEvaluator(Table(table_file).evaluator(2), charge_repeats=True)
    one = question((0, 0, 0))._replace(integers=(1, 0, 3, 2, 4, 4))
    first, second = evaluator(one), evaluator(one)
    assert first.simulated_seconds == second.simulated_seconds == pytest.approx(12 * (5 + 14 / 4))
    assert second.repeated
    assert first.scores[1] == pytest.approx(-1.5)
