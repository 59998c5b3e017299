"""What the parts of a protocol cost, read from their folders."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from darts_pl.records.job_record import read_summary
from darts_pl.report.protocol_rows import Cost


def cost_of(summaries: Mapping[Path, Mapping[str, Any]], samples: str) -> Cost:
    """The sum over finished runs.

    Args:
        summaries: by folder of a run, its summary.
        samples: what the summary calls the samples, such as "images".
    """
    return sum(
        (
            Cost(_seconds(folder, summary), int(summary.get("steps") or 0), int(summary.get(samples) or 0))
            for folder, summary in summaries.items()
        ),
        start=Cost(),
    )


def seconds_of(folders: Iterable[Path]) -> float | None:
    """Seconds of several runs; None if one of them is not finished."""
    found = 0.0
    for folder in folders:
        summary = read_summary(folder)
        if summary is None:
            return None
        found += _seconds(folder, summary)
    return found


def metrics_of(folder: Path) -> list[dict[str, str]]:
    """The rows of `metrics.csv` of a run; none where there is no such file."""
    try:
        return list(csv.DictReader((folder / "metrics.csv").read_text(encoding="utf-8").splitlines()))
    except OSError:
        return []


def _seconds(folder: Path, summary: Mapping[str, Any]) -> float:
    return max(float(summary.get("seconds") or 0.0), _seconds_of_epochs(folder))


def _seconds_of_epochs(folder: Path) -> float:
    """Seconds of all epochs in `metrics.csv`, which also counts those before a run was continued; a search without
    gradients has no rows of epochs there."""
    return sum(float(row.get("seconds") or 0.0) for row in metrics_of(folder) if "evaluations" not in row)
