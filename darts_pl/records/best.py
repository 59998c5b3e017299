"""Which run of a sweep found the best."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_pl.errors import UserError
from darts_pl.records.configuration import CONFIG, read_yaml
from darts_pl.records.objective import sign_of

#: Hydra's file in the folder of a sweep.
SWEEP_FILE = "multirun.yaml"


@dataclass(frozen=True)
class BestRun:
    """The best run of a sweep.

    Args:
        folder: of the run.
        score: name of the result that was compared.
        value: of the run.
        runs: how many had this result.
    """

    folder: Path
    score: str
    value: float
    runs: int


def best_run(sweep: Path) -> BestRun:
    """The finished run with the largest objective, or the smallest one where less is better, as of a perplexity.

    Args:
        sweep: the folder of a sweep of searches.

    Raises:
        UserError: if no run has such a result, or the objective is a score on the test split, which must not choose.
    """
    found = list(_results(sweep))
    for _, name, _ in found:
        if name.startswith("test/"):
            raise UserError(
                f"genotype={sweep}: its runs are compared by {name}, and the test split must not choose a genotype; "
                "name one of its runs"
            )
    if not found:
        raise UserError(f"genotype={sweep}: no run of this sweep is finished; name a run that left genotype.json")
    folder, name, value = max(found, key=lambda one: sign_of(one[1]) * one[2])
    return BestRun(folder, name, value, len(found))


def _results(sweep: Path) -> Iterator[tuple[Path, str, float]]:
    """(folder, name of the objective, its value) of every finished run, by folder."""
    for file in sorted(sweep.glob("*/summary.json")):
        summary, config = _json(file), read_yaml(file.parent / CONFIG)
        objective = _text(config, "task", "objective")
        for name in (objective, objective.replace("accuracy", "perplexity")):
            value = summary.get(name)
            has_genotype = any((file.parent / part / "genotype.json").is_file() for part in (".", "search"))
            if isinstance(value, int | float) and math.isfinite(value) and has_genotype:
                yield file.parent, name, value
                break


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(values: Any, *keys: str) -> str:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, str) else ""
