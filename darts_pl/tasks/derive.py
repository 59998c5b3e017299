"""task=derive: another genotype from a finished search."""

from __future__ import annotations

import time
from copy import copy
from pathlib import Path

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig

from darts_pl.config import Config
from darts_pl.errors import UserError
from darts_pl.problems import trials_of
from darts_pl.records.folder import Summary
from darts_pl.report import save_cells
from darts_pl.selection import RULES
from darts_pl.spaces import SPACES
from darts_pl.tasks.declarations.conflicts import misfits_of_rule
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.searched import Searched, find_searched, refuse_unfinished
from darts_pl.tasks.execution.warning import warn
from darts_pl.tasks.search import table_summary


def derive(context: Context) -> Summary:
    """Apply the rule `select` to the search of `run=`, whose folder stays as it is; returns the summary.

    Genotype, drawings, decisions and summary are written into a folder of their own. A stopped command that is
    continued with resume=true repeats no decision.

    Raises:
        UserError: if there is no such search, it is not finished, or the rule does not fit it.
    """
    started, config = time.monotonic(), context.config
    pl.seed_everything(config.seed, workers=True, verbose=False)
    searched = find_searched(context)
    of_run = _with_rule(searched, config)
    for reason in misfits_of_rule(of_run.select, SPACES.get(of_run.search.space)):
        raise UserError(reason)
    searched.problem.config = of_run
    trials = trials_of(of_run, searched.problem, searched.ended, context.folder.path)
    genotype = RULES.build(of_run.select)(searched.module.supernet, trials)
    trials.write()
    summary: Summary = {
        "task": "derive",
        "run": str(config.run),
        "seed": config.seed,
        "select": of_run.select.name,
        "data": of_run.data.name,
        "genotype": str(genotype),
        **table_summary(genotype),
        "steps": trials.trained().steps,
        searched.problem.samples: trials.trained().samples,
        "seconds": round(time.monotonic() - started, 3),
    }
    summary |= warn(context, summary)
    context.folder.write_genotype(genotype)
    save_cells(genotype, context.folder.path)
    context.folder.write_summary(summary)
    return summary


def _with_rule(searched: Searched, config: Config) -> Config:
    """The configuration of the search with the rule, the seed and, where the command chooses one, the recipe of the
    command."""
    given = HydraConfig.get().overrides.task
    refuse_unfinished(Path(config.run or ""))
    ours, theirs = config.search.space, searched.config.search.space
    if any(override.startswith("search=") for override in given) and ours != theirs:
        raise UserError(f"run={config.run}: a search with search.space={theirs}, and not {ours}; leave out search=")
    found = copy(searched.config)
    found.seed, found.debug = config.seed, config.debug
    found.sections = {**searched.config.sections, "select": config.select}
    if any(override.startswith("train=") for override in given):
        found.sections["train"] = config.train
    return found
