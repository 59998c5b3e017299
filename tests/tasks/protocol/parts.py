"""The command of a tiny protocol, and what a protocol's folder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.tasks.conftest import csv_rows
from tests.tiny_sweep import TINY

SMALL = (
    *("task=protocol", *TINY, "search.alphas.lr=1", "hardware=cpu", "hardware.threads=1"),
    *("train.layers=3", "train.init_channels=2", "train.epochs=1", "train.batch_size=10", "train.cutout=0"),
    *("train.auxiliary_weight=0", "train.lr=0.3", "task.searches=2", "task.choice_epochs=2", "task.random=3"),
    *("task.rules=[shared_weights]", "task.rule_settings={shared_weights: {samples: 3}}", "task.finals=2"),
)
#: Of a summary, what differs between two runs with the same result.
TIMES = ("seconds",)


def summaries(folder: Path, *stages: str) -> dict[str, dict[str, Any]]:
    """By part, what it found."""
    found = {}
    for stage in stages or ("searches", "derived", "choice", "final"):
        for path in sorted((folder / stage).rglob("summary.json")):
            summary = json.loads(path.read_text())
            found[str(path.parent.relative_to(folder))] = {k: v for k, v in summary.items() if k not in (*TIMES, "run")}
    return found


def table(folder: Path) -> dict[str, dict[str, str]]:
    return {row["architecture"]: row for row in csv_rows(folder / "table.csv")}


def results(folder: Path) -> list[dict[str, Any]]:
    """The rows of the table without the seconds."""
    rows = json.loads((folder / "rows.json").read_text())
    for row in rows:
        for cost in ("search", "selection", "final"):
            row[cost].pop("seconds")
    return rows
