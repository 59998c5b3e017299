"""The agreement of two scores of the same genotypes: rank correlations with intervals, on screen and in a summary."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from darts_pl import atomic
from darts_pl.records.folder import Summary
from darts_pl.report import MEASURES, bootstrap_interval, save_scatter
from darts_pl.tasks.correlation.known_scores import COLUMNS, Known

#: File with all genotypes and their scores.
SCORES = "scores.csv"


def agreement(found: np.ndarray, known: Known, resamples: int, seed: int, *, name: str = "") -> Summary:
    """Rank correlations of scores with the known ones, each with its bootstrap interval of 95 %; they are printed.

    Args:
        found: [genotypes]; -inf, or nan, for one without a score, which counts as the worst.
        known: the other scores.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        name: of the score, where there are several.
    """
    finite = found[np.isfinite(found)]
    found = np.where(np.isfinite(found), found, (finite.min() if len(finite) else 0.0) - 1)
    prefix = f"correlate/{name}/" if name else "correlate/"
    summary: Summary = {}
    for measure_name, measure in MEASURES.items():
        low, high = bootstrap_interval(measure, found, known.scores, resamples=resamples, seed=seed)
        value = measure(found, known.scores)
        key = f"{prefix}{measure_name}"
        summary |= {key: value, f"{key}_low": low, f"{key}_high": high}
        label = f"{name:<11}" if name else ""
        print(f"{label}{measure_name:<15}{value:7.3f}   95 % interval {low:.3f} to {high:.3f}", flush=True)
    return summary


def write_scores(folder: Path, known: Known, columns: Mapping[str, np.ndarray]) -> None:
    """Write `scores.csv`: a row per genotype with its known score and all others; empty where there is none."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*COLUMNS, *columns])
    cells = [[value if np.isfinite(value) else "" for value in column.tolist()] for column in columns.values()]
    table.writerows(zip(map(str, known.genotypes), known.scores.tolist(), *cells, strict=True))
    atomic.write(folder / SCORES, text.getvalue())


def plot_scores(folder: Path, known: Known, found: np.ndarray, title: str, label: str) -> None:
    """Write the scatter plot of one score against the known one; genotypes without a score are left out."""
    kept = np.isfinite(found)
    save_scatter(found[kept], known.scores[kept], folder, title=title, x_label=label, y_label=known.name)
