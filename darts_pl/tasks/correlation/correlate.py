"""task=correlate: does a supernet with shared weights order genotypes as their separate trainings do?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.records.folder import Summary
from darts_pl.selection import Trials, one_path
from darts_pl.settings import at_least, or_null, setting
from darts_pl.tasks.correlation.agreement import agreement, plot_scores, write_scores
from darts_pl.tasks.correlation.initial_scores import correlate_initial_scores
from darts_pl.tasks.correlation.known_scores import Known, known_scores
from darts_pl.tasks.declarations.registry import ReportedTaskSettings
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.searched import Searched, find_searched


@dataclass(frozen=True, kw_only=True)
class CorrelateSettings(ReportedTaskSettings):
    """A comparison of shared weights, or of scores at initialization, with separate trainings."""

    genotypes: int = setting("how many genotypes are drawn uniformly, where a table knows their scores", at_least(3))
    by: str | None = setting("which score of the table; null = its main one")
    scores: str | None = setting("a CSV file with the columns genotype and score; null = the table of the space")
    zero_cost: list[str] = setting("scores at initialization that are compared; none = shared weights, of run=")
    batch_size: int = setting("images that a score at initialization is computed from", at_least(2))
    resamples: int = setting("bootstrap samples behind each interval", at_least(1))
    progress: int | None = setting("genotypes between two lines on screen", or_null(at_least(1), "no lines"))


def correlate(context: Context) -> Summary:
    """Score genotypes with the shared weights of `run=`, compare with their known scores; returns the summary.

    The score of a genotype is the accuracy of the supernet on the valid split with only the genotype's operations,
    each with mixing weight 1 (for text the loss with a minus sign). A stopped comparison that is continued with
    resume=true repeats no score.

    Raises:
        UserError: if there is no such search, or nothing to compare with.
    """
    started, settings = time.monotonic(), context.config.task
    if settings.zero_cost:
        return correlate_initial_scores(context)
    searched = find_searched(context, paths=True)
    cells, run = searched.module.supernet.space, f"run={context.config.run}"
    known = known_scores(settings, searched.config.search.space, cells, context.config.seed, run)
    shared = _shared_scores(context, searched, known)
    summary: Summary = {
        "task": "correlate",
        "run": str(context.config.run),
        "seed": context.config.seed,
        "compared_with": known.name,
        "genotypes": len(known.genotypes),
        **agreement(shared, known, settings.resamples, context.config.seed),
    }
    summary["seconds"] = round(time.monotonic() - started, 3)
    write_scores(context.folder.path, known, {"shared_weights": shared})
    title = f"{len(shared)} genotypes, Kendall's tau {summary['correlate/kendall']:.2f}"
    plot_scores(context.folder.path, known, shared, title, "score with shared weights, valid split")
    context.folder.write_summary(summary)
    return summary


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
