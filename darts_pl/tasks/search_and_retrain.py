"""task=search_and_retrain: find a cell, train it, and show what a random cell scores."""

from __future__ import annotations

import time

from darts_pl.errors import UserError
from darts_pl.genotype import parse
from darts_pl.problems import open_problem
from darts_pl.records.folder import Summary
from darts_pl.report import compare_accuracies, compare_perplexities, save_cells
from darts_pl.report.statistics import statistics_of
from darts_pl.runs import is_rank_zero
from darts_pl.selection import random_genotypes
from darts_pl.spaces import SPACES, build_space
from darts_pl.tasks.comparison import check_comparison, train_known_network
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.warning import warn
from darts_pl.tasks.retrain import train_genotype, training_within_time
from darts_pl.tasks.search import find


def search_and_retrain(context: Context) -> Summary:
    """Runs in the subfolders `search/`, `retrain/` and, for random cells, `random/`, `random_2/`, ...; returns a joint
    summary.

    Raises:
        UserError: if the space has no final network, before the search; and as `search` and `train_genotype` do.
    """
    started = time.monotonic()
    searched_space = SPACES.get(context.config.search.space)
    if searched_space.training is None:
        raise UserError(searched_space.no_network)
    check_comparison(context)
    folder = context.folder
    searched = find(context.for_subfolder("search"), fraction=0.5).summary
    genotype = parse(str(searched["genotype"]))  # not from the file, which another rank may still be writing
    trainings = 1 + context.config.task.compare_random + (context.config.compare is not None)
    context = training_within_time(context, genotype, trainings=trainings, fraction=0.5)
    trained = train_genotype(context.for_subfolder("retrain"), genotype, title="retrain")
    summary: Summary = {**searched, **trained, "task": "search_and_retrain"}
    summary |= _comparison(context, summary)
    summary |= train_known_network(context, summary)
    summary |= warn(context, summary, parts=("search", "retrain"))
    summary["seconds"] = round(time.monotonic() - started, 3)
    if is_rank_zero():
        folder.write_genotype(genotype)
        save_cells(genotype, folder.path)
        folder.write_summary(summary)
    return summary


def _comparison(context: Context, found: Summary) -> Summary:
    """Random cells trained as the found one was: their scores, mean and deviation, and what follows from them."""
    config = context.config
    images = None if config.debug else open_problem(config).identity()["test"].get("count")
    summary: Summary = {"test/images": images} if images is not None and "test/accuracy" in found else {}
    if not config.task.compare_random:
        return summary
    space = build_space(config.search.space, config.search.candidates, config.search.nodes)
    scores: dict[str, list[float]] = {}
    for number, genotype in enumerate(random_genotypes(space, config.seed, config.task.compare_random), 1):
        title = "random" if number == 1 else f"random_{number}"
        chance = train_genotype(context.for_subfolder(title), genotype, title=title)
        for score in ("accuracy", "perplexity"):
            if f"test/{score}" in chance:
                value = float(chance[f"test/{score}"] or 0)
                summary[f"random/test_{score}_{number}"] = value
                scores.setdefault(score, []).append(value)
        summary[f"random/parameters_{number}"] = chance["parameters"]
        summary[f"random/genotype_{number}"] = str(genotype)
    summary["random/cells"] = config.task.compare_random
    for score, values in scores.items():
        statistics = statistics_of(values)
        summary[f"random/test_{score}"], summary[f"random/test_{score}_std"] = statistics.mean, statistics.std
        own = float(found[f"test/{score}"] or 0)
        if score == "perplexity":
            summary["random/conclusion"] = compare_perplexities(own, values)
        elif images is not None:
            summary["random/conclusion"] = compare_accuracies(own, values, int(images))
    return summary
