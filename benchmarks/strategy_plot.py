"""The plot of the comparison of strategies on NAS-Bench-201: one panel per strategy, each beside random search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from darts_pl import atomic
from darts_pl.report.statistics import statistics_of

#: Blue and orange of Okabe and Ito's palette differ for every kind of colour vision; random search is dashed as well.
STRATEGY, RANDOM = "#0072b2", "#d55e00"
COLUMNS = 4


def plot(rows: Sequence[Mapping[str, str]], path: Path, best: float) -> None:
    """Mean test accuracy of the best cell against simulated time, with its 95 % interval: a panel per strategy, the
    best at the end first. The same rows give the same file.

    Args:
        rows: of the study; the columns `test_...s` are plotted.
        path: of the SVG file.
        best: test accuracy in percent of the cell with the best validation accuracy, drawn as a line.
    """
    columns = [column for column in rows[0] if column.startswith("test_")]
    seconds = np.array([float(column.removeprefix("test_").removesuffix("s")) for column in columns])
    curves: dict[str, list[list[float]]] = {}
    for row in rows:
        if all(row[column] for column in columns):
            curves.setdefault(row["strategy"], []).append([float(row[column]) for column in columns])
    known = {name: np.array(found) for name, found in curves.items() if len(found) > 1}
    names = sorted((name for name in known if name != "random"), key=lambda name: -known[name][:, -1].mean())
    lines = math.ceil(len(names) / COLUMNS)
    figure = Figure(figsize=(9.0, 0.9 + 1.75 * lines), layout="constrained")
    panels = figure.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for index, axes in enumerate(panels):
        if index >= len(names):
            axes.set_axis_off()
            continue
        if index + COLUMNS >= len(names):
            axes.tick_params(labelbottom=True)
        axes.axhline(best, color="0.45", linewidth=0.8, linestyle=":", label="best cell")
        if "random" in known:
            _curve(axes, seconds, known["random"], RANDOM, "--", f"random ({len(known['random'])} searches)")
        _curve(axes, seconds, known[names[index]], STRATEGY, "-", "strategy")
        axes.set_title(f"{names[index]} ({len(known[names[index]])})", fontsize=9)
        axes.set_ylim(92.5, 94.5)
        axes.set_xticks([0, 4000, 8000, 12000], ["0", "4,000", "8,000", "12,000"])
        axes.tick_params(labelsize=8)
        axes.grid(color="0.9", linewidth=0.6)
    figure.supxlabel("simulated seconds of training", fontsize=9)
    figure.supylabel("CIFAR-10 test accuracy of the best cell, percent", fontsize=9)
    if names:
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            title="mean and 95 % interval of the mean; in brackets the number of searches",
            loc="outside upper center",
            ncols=3,
            fontsize=9,
            title_fontsize=9,
            frameon=False,
        )
    with matplotlib.rc_context({"svg.hashsalt": "strategies"}):
        atomic.write_with(path, lambda temporary: figure.savefig(temporary, metadata={"Date": None}))


def _curve(axes: Axes, seconds: np.ndarray, curves: np.ndarray, colour: str, style: str, label: str) -> None:
    """The mean of curves [repetitions, times], and the interval of the mean."""
    intervals = np.array([statistics_of(values.tolist()).interval() for values in curves.T])
    axes.fill_between(seconds, intervals[:, 0], intervals[:, 1], color=colour, alpha=0.2, linewidth=0)
    axes.plot(seconds, curves.mean(0), color=colour, linestyle=style, linewidth=1.5, label=label)
