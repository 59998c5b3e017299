"""Gaussian-process regression on a matrix of distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_solve, cholesky
from scipy.stats import norm


class GaussianProcess:
    """A zero-mean process with kernel ``exp(-distance / length)`` and noise on the diagonal.

    Length and noise are the pair of the grid with the greatest marginal likelihood (Rasmussen and
    Williams, "Gaussian processes for machine learning", 2006, equation 5.8).

    Args:
        distances: [points, points], not negative.
        targets: [points], of mean about 0 and variance about 1.
        lengths: candidates for the length, in units of the mean distance.
        noises: candidates for the variance of the noise.
    """

    def __init__(
        self, distances: np.ndarray, targets: np.ndarray, lengths: Sequence[float], noises: Sequence[float]
    ) -> None:
        self.targets = targets
        unit = float(distances.mean()) or 1.0
        self.log_likelihood = -np.inf
        for length in lengths:
            kernel = np.exp(-distances / (length * unit))
            for noise in noises:
                factor = _factor(kernel, noise)
                solved = cho_solve((factor, True), targets)
                fit = -0.5 * targets @ solved - np.log(np.diag(factor)).sum() - 0.5 * len(targets) * np.log(2 * np.pi)
                if fit > self.log_likelihood:
                    self.log_likelihood, self.length, self.noise = float(fit), length * unit, noise
                    self._factor, self._solved = factor, solved

    def predict(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (without noise) at new points.

        Args:
            distances: [new points, points].
        """
        kernel = np.exp(-distances / self.length)
        solved = cho_solve((self._factor, True), kernel.T)
        variance = 1 - np.einsum("np,pn->n", kernel, solved)
        return kernel @ self._solved, np.sqrt(np.maximum(variance, 1e-12))


def _factor(kernel: np.ndarray, noise: float) -> np.ndarray:
    """The Cholesky factor of kernel + noise; a kernel that is not positive definite gets more noise."""
    for extra in (0.0, 1e-6, 1e-4, 1e-2, 1.0):
        try:
            return cholesky(kernel + (noise + extra) * np.eye(len(kernel)), lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            continue
    raise np.linalg.LinAlgError("the kernel is far from positive definite")


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """E max(y - best, 0) for y normal with the given mean and standard deviation.

    Jones, Schonlau and Welch, "Efficient global optimization of expensive black-box functions",
    Journal of Global Optimization 1998, equation 15.
    """
    distance = (mean - best) / deviation
    return deviation * (distance * norm.cdf(distance) + norm.pdf(distance))


def normal_scores(scores: np.ndarray) -> np.ndarray:
    """Scores replaced by the normal quantiles of their ranks; equal scores, and -inf, stay equal to each other."""
    _, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - counts / 2
    return norm.ppf(middles / len(scores))[index]
