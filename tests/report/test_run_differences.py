"""Groups of runs against each other, with numbers worked out by hand, and against published figures."""

import pytest

from darts_pl.report.run_differences import difference_cells, published_cells, run_differences
from darts_pl.report.run_table import RunRow


def rows(score, values, **more):
    """By override and seed, the runs with a score."""
    return [
        RunRow(f"{order}{seed}", "finished", {"order": order, "seed": str(seed), **more}, seed, {score: value})
        for (order, seed), value in values.items()
    ]


ACCURACY = {("first", 0): 0.5, ("first", 1): 0.7, ("first", 2): 0.9, ("second", 0): 0.2, ("second", 1): 0.6}


def test_differences_are_paired_over_the_seeds_that_both_have():
    (one,) = run_differences(rows("test/accuracy", ACCURACY))
    assert (one.first, one.second, one.score) == ("order=first", "order=second", "test/accuracy")
    # 0.3 and 0.1: mean 0.2, and the quantile of Student's t with one degree of freedom, 12.706, times 0.1.
    assert (one.difference.n, one.difference.mean) == (2, pytest.approx(0.2))
    assert (one.difference.low, one.difference.high) == (
        pytest.approx(-1.0706, abs=1e-4),
        pytest.approx(1.4706, abs=1e-4),
    )
    assert one.verdict == "no difference shown"
    headings, cells = difference_cells([one])
    assert cells == [
        ["order=first", "order=second", "test/accuracy", "2", "+0.2000", "-1.0706 to +1.4706", one.verdict]
    ]
    assert len(headings) == len(cells[0])


@pytest.mark.parametrize(("score", "verdict"), [("test/perplexity", "better"), ("table/cifar10_test", "worse")])
def test_less_perplexity_is_better_and_less_accuracy_is_worse(score, verdict):
    values = {("a", 0): 90.0, ("a", 1): 80.0, ("b", 0): 91.0, ("b", 1): 81.001}
    (one,) = run_differences(rows(score, values))
    assert one.verdict == verdict


def test_scores_that_choose_and_groups_without_two_common_seeds_are_not_compared():
    assert list(run_differences(rows("search/valid_accuracy", ACCURACY))) == []
    apart = {("first", 0): 0.5, ("first", 1): 0.7, ("second", 1): 0.2, ("second", 2): 0.6}
    assert list(run_differences(rows("test/accuracy", apart))) == []


def test_runs_with_a_value_of_the_benchmark_stand_beside_its_published_figures():
    table, cells = published_cells(rows("table/cifar10_test", ACCURACY))
    assert table == "nasbench201"
    figures = dict(cells)
    assert figures["DARTS (second order)"] == "54.30 ± 0.00"  # the cell of skips alone
    assert figures["Random search"] == "93.70 ± 0.36"
    assert published_cells(rows("test/accuracy", ACCURACY)) is None
