"""Rank correlations against SciPy, and their intervals against the theory of large samples."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from scipy import stats

from darts_pl.report import MEASURES, bootstrap_interval, save_scatter
from darts_pl.report.correlation import kendall, spearman, top_precision


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlations_with_ties_are_those_of_scipy(seed):
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, 12, (2, 60)).astype(float)
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, rel=1e-12)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)


def test_a_perfect_and_a_reversed_order_are_plus_and_minus_one_and_a_constant_has_none():
    x = np.arange(20.0)
    assert [measure(x, x**3) for measure in MEASURES.values()] == pytest.approx([1, 1, 1])
    assert [measure(x, -x) for measure in MEASURES.values()] == pytest.approx([-1, -1, 0])
    assert np.isnan(kendall(x, np.ones(20)))
    assert np.isnan(spearman(np.ones(20), x))


def test_the_precision_is_the_common_part_of_both_tops():
    x = np.arange(30.0)
    y = np.where(x >= 28, x, -x)  # of the top three by x, the two best stay; 0 becomes the third best
    assert top_precision(x, y) == pytest.approx(2 / 3)


def test_the_interval_of_a_correlation_is_about_that_of_fishers_transformation():
    generator = np.random.default_rng(0)
    x = generator.standard_normal(200)
    y = 0.7 * x + generator.standard_normal(200)
    low, high = bootstrap_interval(spearman, x, y, resamples=500, seed=0)
    middle, width = np.arctanh(spearman(x, y)), 1.96 * np.sqrt(1.06 / 197)  # Fieller et al., 1957
    assert (low, high) == pytest.approx(np.tanh([middle - width, middle + width]), abs=0.04)
    assert (low, high) == bootstrap_interval(spearman, x, y, resamples=500, seed=0)


def test_the_plot_has_one_point_per_pair(tmp_path):
    generator = np.random.default_rng(0)
    x, y = generator.random((2, 17))
    save_scatter(x, y, tmp_path, title="title", x_label="x", y_label="y")
    root = ElementTree.parse(tmp_path / "scatter.svg").getroot()
    points = next(element for element in root.iter() if element.get("id") == "points")
    assert len([element for element in points.iter() if element.tag.endswith("}use")]) == 17
    assert (tmp_path / "scatter.png").read_bytes().startswith(b"\x89PNG")
