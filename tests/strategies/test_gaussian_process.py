"""The Gaussian process against scikit-learn's, expected improvement against an integral."""

import random

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, rankdata
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from darts_pl.strategies import Features
from darts_pl.strategies.models.distances import EditDistance
from darts_pl.strategies.models.gaussian_process import GaussianProcess, expected_improvement, normal_scores
from tests.strategies.conftest import ENCODINGS

ENCODING = ENCODINGS["cnn"]
POINTS = [ENCODING.draw(random.Random(seed)) for seed in range(40)]
TARGETS = normal_scores(np.array([sum(one) + 0.1 * seed for seed, one in enumerate(POINTS)]))


@pytest.mark.parametrize(("length", "noise"), [(0.3, 0.01), (1.0, 0.1)])
def test_predictions_and_likelihood_equal_those_of_scikit_learn(length, noise):
    # exp(-edit distance / length) is a squared-exponential kernel of the features, since the edit
    # distance is half their squared Euclidean distance.
    distance = EditDistance(ENCODING)
    known, new = POINTS[:30], POINTS[30:]
    ours = GaussianProcess(distance.between(known, known), TARGETS[:30], [length], [noise])
    mean, deviation = ours.predict(distance.between(new, known))
    features = Features(ENCODING)
    theirs = GaussianProcessRegressor(RBF(np.sqrt(ours.length)), alpha=noise, optimizer=None)
    theirs.fit(features.matrix(known), TARGETS[:30])
    expected_mean, expected_deviation = theirs.predict(features.matrix(new), return_std=True)
    assert mean == pytest.approx(expected_mean, abs=1e-9)
    assert deviation == pytest.approx(expected_deviation, abs=1e-7)
    assert ours.log_likelihood == pytest.approx(theirs.log_marginal_likelihood_value_, rel=1e-9)


def test_the_most_likely_length_and_noise_are_taken():
    distance = EditDistance(ENCODING).between(POINTS, POINTS)
    grid = {
        (length, noise): GaussianProcess(distance, TARGETS, [length], [noise]).log_likelihood
        for length in (0.1, 0.5, 2.0)
        for noise in (1e-3, 1e-1)
    }
    chosen = GaussianProcess(distance, TARGETS, [0.1, 0.5, 2.0], [1e-3, 1e-1])
    assert chosen.log_likelihood == max(grid.values())
    assert (chosen.length / distance.mean(), chosen.noise) == pytest.approx(max(grid, key=grid.__getitem__))


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.0, 1.0, 0.5), (1.2, 0.3, 1.0), (-2.0, 0.7, 0.0)])
def test_expected_improvement_is_the_mean_of_what_exceeds_the_best(mean, deviation, best):
    integral, _ = quad(lambda y: (y - best) * norm.pdf(y, mean, deviation), best, mean + 12 * deviation + best)
    found = expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert found[0] == pytest.approx(integral, abs=1e-7)


def test_normal_scores_are_quantiles_of_ranks_and_failures_are_the_lowest():
    scores = np.array([3.0, -np.inf, 10.0, 3.0, -np.inf, 90.0])
    assert normal_scores(scores) == pytest.approx(norm.ppf((rankdata(scores) - 0.5) / 6))


def test_a_kernel_that_is_not_positive_definite_still_gives_predictions():
    distance = np.array([[0.0, 0.1, 5.0], [0.1, 0.0, 0.1], [5.0, 0.1, 0.0]])  # against the triangle inequality
    process = GaussianProcess(distance, np.array([-1.0, 0.0, 1.0]), [0.5], [1e-3])
    mean, deviation = process.predict(distance)
    assert np.sign(mean[[0, 2]]).tolist() == [-1, 1]
    assert (deviation > 0).all()
