"""How well one score orders what another one measures: rank correlations, and a scatter plot."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from darts_pl import atomic

#: Fraction of the samples that counts as the top in `top_precision`.
TOP = 0.1


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b of two vectors [n]: concordant minus discordant pairs, corrected for ties (Kendall, 1945).

    It is nan where one of them is constant.
    """
    above = np.triu_indices(len(x), k=1)
    first, second = (np.sign(values[:, None] - values[None, :])[above] for values in (x, y))
    scale = np.sqrt(np.abs(first).sum() * np.abs(second).sum())
    return float((first * second).sum() / scale) if scale else float("nan")


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of two vectors [n], equal values sharing their mean rank; nan if one is constant."""
    first, second = (ranks - ranks.mean() for ranks in (_ranks(x), _ranks(y)))
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def top_precision(x: np.ndarray, y: np.ndarray) -> float:
    """Of the top tenth by x, the fraction that is in the top tenth by y; at equal values the earlier sample counts."""
    count = max(1, round(TOP * len(x)))
    first, second = (set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (x, y))
    return len(first & second) / count


#: By name in a summary, what measures agreement.
MEASURES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "kendall": kendall,
    "spearman": spearman,
    "top_precision": top_precision,
}


def bootstrap_interval(
    measure: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray, *, resamples: int, seed: int
) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles of a measure over samples of the pairs with replacement (Efron, 1979).

    Args:
        measure: of two vectors.
        x, y: [n].
        resamples: how many.
        seed: the same seed gives the same interval.
    """
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(0, len(x), len(x)) for _ in range(resamples))
    found = np.array([measure(x[rows], y[rows]) for rows in drawn])
    found = found[np.isfinite(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def save_scatter(
    x: np.ndarray, y: np.ndarray, folder: str | os.PathLike[str], *, title: str, x_label: str, y_label: str
) -> None:
    """Write ``scatter.png`` and ``scatter.svg``, one point per pair."""
    figure = Figure(figsize=(6, 4.5), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(x, y, s=14, alpha=0.6, color="#3f74b5", linewidths=0, gid="points")
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.25)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "scatter"}):
        for form, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            drawn = io.BytesIO()
            figure.savefig(drawn, format=form, metadata=metadata)
            atomic.write(Path(folder) / f"scatter.{form}", drawn.getvalue())
