"""Intervals against SciPy, published examples and closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

from darts_pl.report.statistics import (
    Difference,
    difference_of_accuracies,
    paired_difference,
    statistics_of,
    widened,
    wilson,
)

#: Student's "The probable error of a mean" (1908): additional hours of sleep of ten patients with two drugs.
SLEEP_1 = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
SLEEP_2 = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("right", "count"), [(0, 5), (1, 1), (350, 355), (811, 1000), (9724, 10_000)])
def test_the_interval_of_an_accuracy_is_that_of_scipy(right, count, confidence):
    expected = stats.binomtest(right, count).proportion_ci(confidence, method="wilson")
    assert wilson(right, count, confidence) == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-15)


def test_the_interval_of_an_accuracy_is_that_of_newcombes_published_example():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (right, count), limits in published.items():
        assert wilson(right, count) == pytest.approx(limits, abs=5e-5)


def test_the_interval_of_a_difference_of_accuracies_is_the_square_and_add_of_scipys_limits_and_near_walds():
    limits = [stats.binomtest(right, 10_000).proportion_ci(method="wilson") for right in (5422, 5312)]
    (low, high), (other_low, other_high) = ((one.low, one.high) for one in limits)
    expected = (
        0.011 - math.sqrt((0.5422 - low) ** 2 + (other_high - 0.5312) ** 2),
        0.011 + math.sqrt((high - 0.5422) ** 2 + (0.5312 - other_low) ** 2),
    )
    assert difference_of_accuracies(0.5422, 0.5312, 10_000) == pytest.approx(expected, rel=1e-9)
    wald = 1.959964 * math.sqrt((0.5422 * 0.4578 + 0.5312 * 0.4688) / 10_000)
    assert expected == pytest.approx((0.011 - wald, 0.011 + wald), abs=2e-5)


def test_two_independent_sources_of_chance_add_their_squares():
    found = widened(Difference(4, 2.0, 1.0, -1.0, 5.0), 4.0, 4.0)
    assert (found.low, found.high, found.mean) == (-3.0, 7.0, 2.0)
    assert widened(found, 0.0, 0.0) == found


def test_the_interval_of_no_success_ends_at_the_closed_form():
    z = stats.norm.ppf(0.975)
    assert wilson(0, 40) == (0.0, pytest.approx(z**2 / (40 + z**2), rel=1e-12))
    low, high = wilson(40, 40)
    assert (low, high) == (pytest.approx(40 / (40 + z**2), rel=1e-12), 1.0)


@pytest.mark.parametrize(("right", "count", "confidence"), [(0, 0, 0.95), (-1, 3, 0.95), (4, 3, 0.95), (1, 3, 1.0)])
def test_what_is_no_fraction_or_no_confidence_is_refused_with_the_value(right, count, confidence):
    with pytest.raises(ValueError, match=f"{right} right of {count}" if confidence < 1 else "confidence=1.0"):
        wilson(right, count, confidence)


def test_mean_and_deviation_are_those_of_numpy_and_one_value_has_no_deviation():
    found = statistics_of(SLEEP_1)
    assert (found.n, found.mean) == (10, pytest.approx(np.mean(SLEEP_1)))
    assert found.std == pytest.approx(np.std(SLEEP_1, ddof=1), rel=1e-12)
    assert found.interval(0.9) == pytest.approx(stats.t.interval(0.9, 9, np.mean(SLEEP_1), stats.sem(SLEEP_1)))
    alone = statistics_of([2.5])
    assert (alone.n, alone.mean, alone.std, alone.interval()) == (1, 2.5, None, (-math.inf, math.inf))


def test_the_paired_difference_is_that_of_students_own_example_and_of_scipy():
    found = paired_difference(dict(enumerate(SLEEP_1)), dict(enumerate(SLEEP_2)))
    expected = stats.ttest_rel(SLEEP_1, SLEEP_2).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (found.n, found.mean, found.std) == (10, pytest.approx(-1.58), pytest.approx(1.23, abs=5e-3))


def test_only_seeds_of_both_methods_are_compared_and_none_is_no_difference():
    found = paired_difference({1: 5.0, 2: 7.0, 3: 1.0}, {2: 4.0, 3: 0.0, 4: 9.0})
    assert (found.n, found.mean, found.std) == (2, 2.0, pytest.approx(math.sqrt(2)))
    assert paired_difference({1: 5.0}, {2: 5.0}) is None


def test_a_method_is_better_only_where_the_interval_excludes_zero():
    zeros = dict.fromkeys(range(3), 0.0)
    clear = paired_difference({0: 1.0, 1: 1.1, 2: 0.9}, zeros)
    assert stats.ttest_1samp([1.0, 1.1, 0.9], 0).pvalue < 0.05
    assert (clear.verdict(), clear.verdict(more_is_better=False)) == ("better", "worse")
    vague = paired_difference({0: 1.0, 1: 3.0, 2: -0.5}, zeros)
    assert stats.ttest_1samp([1.0, 3.0, -0.5], 0).pvalue > 0.05
    assert vague.verdict() == vague.verdict(more_is_better=False) == "no difference shown"
    assert paired_difference({0: 1.0}, zeros).verdict() == "no difference shown"


def test_a_95_percent_interval_covers_the_true_difference_in_95_percent_of_the_experiments():
    generator = np.random.default_rng(0)
    drawn = generator.normal(0.3, 1.0, (2000, 4))
    found = [paired_difference(dict(enumerate(values.tolist())), dict.fromkeys(range(4), 0.0)) for values in drawn]
    covered = sum(one.low <= 0.3 <= one.high for one in found)
    assert stats.binomtest(covered, len(found), 0.95).pvalue > 0.01
