"""task=search_and_retrain: find a cell, train it, and show what a random cell scores."""

from __future__ import annotations

import time

from darts_pl.errors import UserError
from darts_pl.genotype import parse
from darts_pl.records.folder import Summary
from darts_pl.report import save_cells
from darts_pl.runs import is_rank_zero
from darts_pl.selection import random_genotype
from darts_pl.spaces import SPACES, build_space
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.retrain import train_genotype
from darts_pl.tasks.search import search


def search_and_retrain(context: Context) -> Summary:
    """Runs in the subfolders `search/`, `retrain/` and, if asked for, `random/`; returns a joint summary.

    Raises:
        UserError: if the space has no final network, before the search; and as `search` and `train_genotype` do.
    """
    started = time.monotonic()
    searched_space = SPACES.get(context.config.search.space)
    if searched_space.training is None:
        raise UserError(searched_space.no_network)
    config, folder = context.config, context.folder
    searched = search(context.for_subfolder("search"))
    genotype = parse(str(searched["genotype"]))  # not from the file, which another rank may still be writing
    trained = train_genotype(context.for_subfolder("retrain"), genotype, title="retrain")
    summary: Summary = {**searched, **trained, "task": "search_and_retrain"}
    if config.task.compare_random:
        space = build_space(config.search.space, config.search.candidates, config.search.nodes)
        by_chance = random_genotype(space, config.seed)
        chance = train_genotype(context.for_subfolder("random"), by_chance, title="random")
        for score in ("accuracy", "perplexity"):
            if f"test/{score}" in chance:
                summary[f"random/test_{score}"] = chance[f"test/{score}"]
        summary["random/parameters"] = chance["parameters"]
        summary["random/genotype"] = str(by_chance)
    summary["seconds"] = round(time.monotonic() - started, 3)
    if is_rank_zero():
        folder.write_genotype(genotype)
        save_cells(genotype, folder.path)
        folder.write_summary(summary)
    return summary
