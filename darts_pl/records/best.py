"""What a sweep wants more of, and which of its runs found the best."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_pl.errors import UserError
from darts_pl.records.configuration import CONFIG, read_yaml

#: Hydra's file in the folder of a sweep.
SWEEP_FILE = "multirun.yaml"
#: Last words in the names of results of which less is better, such as search/valid_loss, table/regret, multiply_adds.
LESS_IS_BETTER = frozenset({"loss", "perplexity", "error", "regret", "rank", "seconds", "parameters", "adds", "ms"})


def sign_of(name: str) -> int:
    """-1 if less of a result is better, else 1.

    Args:
        name: in the summary of a run, such as "table/regret".
    """
    return -1 if name.rpartition("/")[2].rpartition("_")[2] in LESS_IS_BETTER else 1


def objective_of(summary: Mapping[str, Any], name: str) -> float | None:
    """The result of a run of which a sweep wants more; None if the run has no such result.

    For text, which has no accuracy, a perplexity takes its place. A trained language model has a perplexity of the
    valid split, which then replaces that of the test split.

    Args:
        summary: of the run.
        name: of the result, from `task.objective`.
    """
    perplexities = ["retrain/best_valid_perplexity"] if name.startswith("test/") else []
    perplexities.append(name.replace("accuracy", "perplexity"))
    for candidate in (name, *perplexities):
        value = summary.get(candidate)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return sign_of(candidate) * float(value)
    return None


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
