"""Evaluators, budgets, and a search that is stopped at any point."""

import json
import math
import random
import shutil

import numpy as np
import pytest

from darts_pl.errors import UserError
from darts_pl.settings import check
from darts_pl.strategies import Budget, CachedEvaluator, Evaluation, Question, TableEvaluator, best_row, race
from darts_pl.strategies.race import HISTORY, STATE
from tests.strategies.conftest import ENCODINGS, fully_connected, small

ENCODING = fully_connected(("none", "skip_connect", "nor_conv_3x3"), nodes=2)
INTEGERS = np.stack(np.meshgrid(*[range(size) for size in ENCODING.sizes], indexing="ij"), -1).reshape(-1, 3)
SHUFFLED = np.random.default_rng(0).permutation(INTEGERS)
SCORES = SHUFFLED @ np.array([1.0, 5.0, 3.0])
SECONDS = 1 + SHUFFLED.sum(1)


def table(**columns) -> TableEvaluator:
    return TableEvaluator(ENCODING, SHUFFLED, columns.get("scores", {12: SCORES, 200: SCORES + 100}), SECONDS)


def question(integers, epochs=None, number=0) -> Question:
    return Question(ENCODING.decode(integers), tuple(integers), epochs, number)


def budget(evaluations=None, simulated_seconds=None, seconds=None) -> Budget:
    return Budget(evaluations=evaluations, simulated_seconds=simulated_seconds, seconds=seconds)


def test_the_table_returns_the_scores_of_the_genotype_and_what_its_epochs_cost():
    for integers in INTEGERS.tolist():
        assert table()(question(integers)) == Evaluation(
            (float(np.dot(integers, [1, 5, 3])),), 12 * (1 + sum(integers))
        )
    assert table()(question((2, 0, 1), 200)) == Evaluation((105.0,), 200 * 4)


def test_many_rows_of_the_table_are_found_at_once():
    assert (SHUFFLED[table().rows(INTEGERS)] == INTEGERS).all()


def test_the_table_may_have_several_scores():
    found = table(scores={12: np.stack([SCORES, -SCORES], 1)})(question((1, 1, 1)))
    assert found.scores == (9.0, -9.0)


def test_a_genotype_outside_the_table_fails():
    short = TableEvaluator(ENCODING, INTEGERS[:5], {12: SCORES[:5]}, SECONDS[:5])
    assert short(question((2, 2, 2))) == Evaluation(None, failure="not in the table")
    with pytest.raises(KeyError):
        short.rows(INTEGERS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((INTEGERS[:, :2], {12: SCORES}, SECONDS), r"rows have \(2,\) integers; the space has 3 decisions"),
        ((INTEGERS, {12: SCORES[1:]}, SECONDS), "every column must have 27 rows"),
        ((INTEGERS[[0, 0]], {12: SCORES[:2]}, SECONDS[:2]), "1 rows repeat the genotype"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        TableEvaluator(ENCODING, *arguments)


def test_epochs_that_the_table_lacks_are_refused():
    with pytest.raises(UserError, match="no scores after 50 epochs; it has those after 12, 200"):
        table()(question((0, 0, 0), 50))


def test_a_genotype_is_evaluated_once_per_number_of_epochs():
    asked = []

    def evaluate(one):
        asked.append((one.integers, one.epochs))
        return Evaluation((1.0,), 5.0)

    free, charged = CachedEvaluator(evaluate), CachedEvaluator(evaluate, charge_repeats=True)
    assert [free(question((0, 0, 1), epochs)).simulated_seconds for epochs in (1, 1, 2)] == [5.0, 0.0, 5.0]
    assert asked == [((0, 0, 1), 1), ((0, 0, 1), 2)]
    assert charged(question((0, 0, 1))) == Evaluation((1.0,), 5.0)
    assert charged(question((0, 0, 1))) == Evaluation((1.0,), 5.0, repeated=True)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA out of memory"),
        (FloatingPointError("overflow"), "FloatingPointError: overflow"),
        (math.nan, r"scores [nan]"),
        (math.inf, r"scores [inf]"),
    ],
)
def test_what_fails_is_an_evaluation_without_scores_and_with_the_reason(error, failure):
    def evaluate(one):
        if isinstance(error, Exception):
            raise error
        return Evaluation((error,))

    assert CachedEvaluator(evaluate)(question((0, 0, 0))) == Evaluation(None, failure=failure)


def test_a_fault_of_the_program_is_not_taken_for_a_failure():
    def evaluate(one):
        raise KeyError("batch")

    with pytest.raises(KeyError):
        CachedEvaluator(evaluate)(question((0, 0, 0)))


def test_the_first_limit_that_is_used_up_ends_the_search():
    def run(limits):
        ticks = iter(range(10_000))
        return race(
            small("random", ENCODING),
            CachedEvaluator(table(), charge_repeats=True),
            limits,
            clock=lambda: float(next(ticks)),
        )

    assert len(run(budget(evaluations=17))) == 17
    assert len(run(budget(evaluations=17, seconds=5))) == 5
    by_time = run(budget(evaluations=400, simulated_seconds=700))
    assert by_time[-1]["simulated_seconds"] >= 700 > by_time[-2]["simulated_seconds"]
    spent = np.cumsum([12 * (1 + sum(row["integers"])) for row in by_time])
    assert [row["simulated_seconds"] for row in by_time] == spent.tolist()


def test_a_budget_without_a_limit_is_refused():
    with pytest.raises(UserError, match=r"a search needs a limit; give at least one of budget\.evaluations"):
        race(small("random", ENCODING), CachedEvaluator(table()), budget())
    with pytest.raises(UserError, match=r"budget\.evaluations=0: must be at least 1"):
        check(budget(evaluations=0), "budget")


def test_simulated_seconds_need_an_evaluator_that_simulates_them():
    evaluator = CachedEvaluator(lambda one: Evaluation((1.0,)), charge_repeats=True)
    with pytest.raises(UserError, match="this evaluator simulates no time"):
        race(small("random", ENCODING), evaluator, budget(simulated_seconds=10))


def test_simulated_seconds_alone_need_repeated_questions_that_cost_something():
    with pytest.raises(UserError, match="repeated questions cost nothing, so the search may never end"):
        race(small("random", ENCODING), CachedEvaluator(table()), budget(simulated_seconds=700))
    rows = race(small("random", ENCODING), CachedEvaluator(table()), budget(evaluations=60, simulated_seconds=1e6))
    assert [row["cost"] for row in rows if row["repeated"]] == [0.0] * (
        60 - len({tuple(row["integers"]) for row in rows})
    )


def test_the_best_row_is_the_best_score_after_the_most_epochs():
    rows = [
        {"number": 0, "epochs": 1, "scores": [9.0]},
        {"number": 1, "epochs": 9, "scores": [2.0]},
        {"number": 2, "epochs": 9, "scores": None},
        {"number": 3, "epochs": 9, "scores": [3.0]},
        {"number": 4, "epochs": 9, "scores": [3.0]},
    ]
    assert best_row(rows)["number"] == 3
    assert best_row(rows[2:3]) is None


def flaky(one: Question) -> Evaluation:
    """Fails on a third of the genotypes."""
    if sum(one.integers) % 3 == 0:
        raise RuntimeError("diverged")
    return Evaluation((math.sin(sum(index * value for index, value in enumerate(one.integers, start=1))),), 2.0)


def run(folder, file, count):
    ticks = iter(range(10_000))
    strategy = small(file, ENCODINGS["cnn"])
    return race(strategy, CachedEvaluator(flaky), budget(count), folder, clock=lambda: float(next(ticks)))


def without_time(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.parametrize("file", ["evolution", "pnas", "optuna", "successive_halving"])
@pytest.mark.parametrize("state", ["kept", "lost", "older"])
def test_a_search_that_is_killed_after_any_answer_goes_on_with_the_same_questions(tmp_path, file, state):
    count = 14
    whole = run(tmp_path / "whole", file, count)
    stopped = tmp_path / "stopped"
    for number in range(1, count + 1):
        older = (stopped / STATE).read_text() if (stopped / STATE).exists() else None
        rows = run(stopped, file, number)
        assert without_time(rows) == without_time(whole[:number])
        if state == "lost":
            (stopped / STATE).unlink()
        elif state == "older" and older is not None:  # killed between the row and the state
            (stopped / STATE).write_text(older)
    written = [json.loads(line) for line in (stopped / HISTORY).read_text().splitlines()]
    assert without_time(written) == without_time(whole)


def test_a_row_that_was_cut_off_is_asked_again(tmp_path):
    whole = run(tmp_path / "whole", "evolution", 12)
    run(tmp_path / "cut", "evolution", 8)
    path = tmp_path / "cut" / HISTORY
    path.write_text(path.read_text()[:-20])
    assert without_time(run(tmp_path / "cut", "evolution", 12)) == without_time(whole)
    assert len(path.read_text().splitlines()) == 12


def test_wall_clock_time_of_earlier_runs_counts(tmp_path):
    def timed(limits):
        ticks = iter(range(100))
        return race(
            small("random", ENCODINGS["cnn"]),
            CachedEvaluator(flaky),
            limits,
            tmp_path,
            clock=lambda: float(next(ticks)),
        )

    assert timed(budget(evaluations=3))[-1]["seconds"] == 3
    assert [row["seconds"] for row in timed(budget(seconds=6))] == [1, 2, 3, 4, 5, 6]


def test_failures_are_recorded_with_their_reason(tmp_path):
    for row in run(tmp_path, "random", 30):
        failed = sum(row["integers"]) % 3 == 0
        assert row["failure"] == ("RuntimeError: diverged" if failed else None)
        assert (row["scores"] is None) == failed


def test_the_folder_of_another_strategy_or_seed_is_refused(tmp_path):
    run(tmp_path / "a", "evolution", 6)
    other = small("evolution", ENCODINGS["cnn"], seed=7)
    with pytest.raises(UserError, match="the search there has seed=0, not 7"):
        race(other, CachedEvaluator(flaky), budget(8), tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / STATE).unlink()
    with pytest.raises(UserError, match="is not of this strategy; use another folder"):
        run(tmp_path / "b", "mcts", 8)


def test_a_damaged_history_is_refused(tmp_path):
    run(tmp_path, "random", 3)
    path = tmp_path / HISTORY
    path.write_text(path.read_text().replace("{", "", 1))
    with pytest.raises(UserError, match="is damaged"):
        run(tmp_path, "random", 5)


def test_what_was_evaluated_before_a_restart_is_not_evaluated_again(tmp_path):
    asked = []

    def evaluate(one):
        asked.append(one.integers)
        return Evaluation((float(random.Random(str(one.integers)).random()),))

    for count in (10, 40):
        race(small("random", ENCODING), CachedEvaluator(evaluate), budget(count), tmp_path)
    assert len(asked) == len(set(asked))
