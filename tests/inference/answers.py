"""Reading what commands leave."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from darts_pl.cli import main


def summary_in(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def answers_of(run: Path, given: Path, folder: Path, *more: str) -> list[dict[str, str]]:
    """The table of a task=predict."""
    assert main(["task=predict", f"run={run}", f"input={given}", *more, f"hydra.run.dir={folder}"]) == 0
    return list(csv.DictReader((folder / "predictions.csv").read_text(encoding="utf-8").splitlines()))


def by_class(row: dict[str, str]) -> dict[str, float]:
    """Probabilities by class of a row that lists all classes."""
    names = [key for key in row if key.startswith("class")]
    return {row[name]: float(row[name.replace("class", "probability")]) for name in names}
