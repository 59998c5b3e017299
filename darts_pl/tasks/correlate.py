"""task=correlate: does a supernet with shared weights order genotypes as their separate trainings do?"""

from __future__ import annotations

import csv
import io
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype, parse
from darts_pl.records.folder import Summary
from darts_pl.report import MEASURES, bootstrap_interval, save_scatter
from darts_pl.selection import Trials, one_path
from darts_pl.settings import at_least, or_null, setting
from darts_pl.spaces import SPACES
from darts_pl.tasks.declarations.registry import ReportedTaskSettings
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.searched import Searched, find_searched

_COLUMNS = ("genotype", "score")


@dataclass(frozen=True, kw_only=True)
class CorrelateSettings(ReportedTaskSettings):
    """A comparison of shared weights with separate trainings."""

    genotypes: int = setting("how many genotypes are drawn uniformly, where a table knows their scores", at_least(3))
    by: str | None = setting("which score of the table; null = its main one")
    scores: str | None = setting("a CSV file with the columns genotype and score; null = the table of the space")
    resamples: int = setting("bootstrap samples behind each interval", at_least(1))
    progress: int | None = setting("genotypes between two lines on screen", or_null(at_least(1), "no lines"))


@dataclass(frozen=True)
class Known:
    """Genotypes with their scores, and what the scores are called."""

    genotypes: Sequence[Genotype]
    scores: np.ndarray
    name: str


def correlate(context: Context) -> Summary:
    """Score genotypes with the shared weights of `run=`, compare with their known scores; returns the summary.

    The score of a genotype is the accuracy of the supernet on the valid split with only the genotype's operations,
    each with mixing weight 1 (for text the loss with a minus sign). A stopped comparison that is continued with
    resume=true repeats no score.

    Raises:
        UserError: if there is no such search, or nothing to compare with.
    """
    started, settings = time.monotonic(), context.config.task
    searched = find_searched(context)
    known = _read_csv(Path(settings.scores)) if settings.scores is not None else _from_table(searched, context)
    shared = _shared_scores(context, searched, known)
    summary: Summary = {
        "task": "correlate",
        "run": str(context.config.run),
        "seed": context.config.seed,
        "compared_with": known.name,
        "genotypes": len(known.genotypes),
    }
    for name, measure in MEASURES.items():
        low, high = bootstrap_interval(
            measure, shared, known.scores, resamples=settings.resamples, seed=context.config.seed
        )
        value = measure(shared, known.scores)
        summary |= {f"correlate/{name}": value, f"correlate/{name}_low": low, f"correlate/{name}_high": high}
        print(f"{name:<15}{value:7.3f}   95 % interval {low:.3f} to {high:.3f}")
    summary["seconds"] = round(time.monotonic() - started, 3)
    rows = zip(map(str, known.genotypes), known.scores.tolist(), shared.tolist(), strict=True)
    atomic.write(context.folder.path / "scores.csv", _csv([*_COLUMNS, "shared_weights"], rows))
    save_scatter(
        shared,
        known.scores,
        context.folder.path,
        title=f"{len(shared)} genotypes, Kendall's tau {summary['correlate/kendall']:.2f}",
        x_label="score with shared weights, valid split",
        y_label=known.name,
    )
    context.folder.write_summary(summary)
    return summary


def _from_table(searched: Searched, context: Context) -> Known:
    space, settings = SPACES.get(searched.config.search.space), context.config.task
    if space.table is None:
        raise UserError(
            f"run={context.config.run}: there is no table of {space.adjective} genotypes; give task.scores=FILE.csv, "
            "with the columns genotype and score"
        )
    cells, generator = searched.module.supernet.space, random.Random(context.config.seed)
    drawn = [space.draw(cells, generator) for _ in range(settings.genotypes)]
    table = space.table
    if not table.covers(drawn[0]):
        raise UserError(f"run={context.config.run}: the table does not have cells of this size, such as {drawn[0]}")
    scores = np.array([table.score(genotype, settings.by) for genotype in drawn])
    return Known(drawn, scores, f"{settings.by or table.main} of the table")


def _read_csv(path: Path) -> Known:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"task.scores={path}: not readable ({type(error).__name__})") from None
    if len(rows) < 3 or not set(_COLUMNS) <= set(rows[0]):
        raise UserError(f"task.scores={path}: must have the columns genotype and score, and 3 rows or more")
    genotypes, scores = [], []
    for number, row in enumerate(rows, start=2):
        try:
            genotypes.append(parse(str(row["genotype"])))
            scores.append(float(str(row["score"])))
        except ValueError as error:
            raise UserError(f"task.scores={path}, line {number}: {error}") from None
    return Known(genotypes, np.array(scores), f"score of {path.name}")


def _shared_scores(context: Context, searched: Searched, known: Known) -> np.ndarray:
    """The supernet's score of every genotype, kept one by one in `decisions.json`."""
    trials = searched.trials(context.folder.path / "decisions.json")
    stored = trials.decide("checkpoint", lambda: searched.checksum)
    if stored != searched.checksum:
        raise UserError(f"{context.folder.path}: holds scores of another search than run={context.config.run}")
    every = context.config.task.progress
    found: dict[Genotype, float] = {}
    for number, genotype in enumerate(known.genotypes, start=1):
        if genotype not in found:
            found[genotype] = trials.decide(str(genotype), _scoring(trials, genotype))
        if every is not None and number % every == 0:
            print(f"correlate {number}/{len(known.genotypes)}", flush=True)
    return np.array([found[genotype] for genotype in known.genotypes])


def _scoring(trials: Trials, genotype: Genotype) -> Callable[[], float]:
    def compute() -> float:
        supernet = trials.supernet
        found = trials.score(one_path(supernet.space, genotype, next(iter(supernet.alphas.values()))))
        return -found.loss if found.accuracy is None else found.accuracy

    return compute


def _csv(columns: Sequence[str], rows: Iterable[tuple[str, float, float]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    return text.getvalue()
