"""task=correlate task.zero_cost=[...]: how well scores at initialization order genotypes."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records.folder import Summary
from darts_pl.runs.data_identity import keep_data_identity
from darts_pl.spaces import SPACES
from darts_pl.tasks.correlation.agreement import agreement, plot_scores, write_scores
from darts_pl.tasks.correlation.known_scores import Known, known_scores
from darts_pl.tasks.evaluation.zero_cost import ZeroCostScores
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.short_training import halves_identity

#: File with the scores so far and with what they depend on.
JOURNAL = "initial_scores.json"


def correlate_initial_scores(context: Context) -> Summary:
    """Score genotypes at initialization with the sizes in `train`, compare with their known scores; returns the
    summary. A stopped comparison that is continued with resume=true repeats no score.

    Raises:
        UserError: if a score is unknown, data and settings do not fit, or there is nothing to compare with.
    """
    config, settings, started = context.config, context.config.task, time.monotonic()
    if config.run is not None:
        raise UserError(f"run={config.run} with task.zero_cost: no search is read; leave one of them out")
    cells = SPACES.get(config.search.space).cells(config.search.candidates, config.search.nodes)
    known = known_scores(settings, config.search.space, cells, config.seed, f"search.space={config.search.space}")
    columns, seconds = _scores(context, known)
    summary: Summary = {
        "task": "correlate",
        "seed": config.seed,
        "data": config.data.name,
        "compared_with": known.name,
        "genotypes": len(known.genotypes),
    }
    for name, column in columns.items():
        summary |= agreement(column, known, settings.resamples, config.seed, name=name)
        summary[f"correlate/{name}/failures"] = int((~np.isfinite(column)).sum())
    write_scores(context.folder.path, known, columns)
    if len(columns) == 1:
        ((name, column),) = columns.items()
        tau = summary[f"correlate/{name}/kendall"]
        title = f"{len(column)} genotypes, Kendall's tau {tau:.2f}"
        plot_scores(context.folder.path, known, column, title, f"{name} at initialization")
    summary["correlate/seconds_per_genotype"] = round(seconds / len(known.genotypes), 3)
    summary["seconds"] = round(time.monotonic() - started, 3)
    context.folder.write_summary(summary)
    return summary


def _scores(context: Context, known: Known) -> tuple[dict[str, np.ndarray], float]:
    """Every score of every genotype, and the seconds that all of them took."""
    config, settings, folder = context.config, context.config.task, context.folder.path
    scores = ZeroCostScores(config, settings.zero_cost, settings.batch_size, section="task")
    scores.check(known.genotypes[0])
    identity: dict[str, Any] = {
        **{key: value for key, value in halves_identity(context).items() if key != "train.epochs"},
        "task.batch_size": settings.batch_size,
        "task.zero_cost": list(settings.zero_cost),
    }
    journal = _read(folder / JOURNAL, identity)
    keep_data_identity(folder, scores.data, continues=bool(journal["scores"]), writes=True)
    for number, genotype in enumerate(known.genotypes, start=1):
        if str(genotype) not in journal["scores"]:
            begun = time.monotonic()
            found = scores(genotype)
            journal["scores"][str(genotype)] = {
                name: value if math.isfinite(value) else None for name, value in found.items()
            }
            journal["seconds"] += time.monotonic() - begun
            atomic.write(folder / JOURNAL, json.dumps(journal) + "\n")
        if settings.progress is not None and number % settings.progress == 0:
            print(f"correlate {number}/{len(known.genotypes)}", flush=True)
    rows = [journal["scores"][str(genotype)] for genotype in known.genotypes]
    return {
        name: np.array([math.nan if row[name] is None else row[name] for row in rows]) for name in settings.zero_cost
    }, journal["seconds"]


def _read(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    identity = json.loads(json.dumps(identity))
    if not path.is_file():
        return {"identity": identity, "scores": {}, "seconds": 0.0}
    try:
        journal: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stored = journal["identity"]
    except (ValueError, KeyError):
        raise UserError(f"{path} is damaged; delete it to compute the scores again") from None
    for key in identity:
        if stored.get(key) != identity[key]:
            raise UserError(
                f"{path}: holds scores with {key}={stored.get(key)}, and not {key}={identity[key]}; use another folder"
            )
    return journal
