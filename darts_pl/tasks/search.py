"""task=search: find a cell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl

from darts_pl.callbacks import ArchitectureHistory, ArchitecturePictures, CheckRanksAgree, RunObservers
from darts_pl.genotype import Genotype, parse
from darts_pl.problems import build_search, build_trials, check_rule, open_problem
from darts_pl.records.folder import Summary
from darts_pl.records.run_identity import settings_of
from darts_pl.selection import RULES, Trained
from darts_pl.spaces import Supernet, space_of
from darts_pl.tasks.declarations.sections import PARTS
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.recording import fit_and_record, write_result
from darts_pl.tasks.execution.resumed import continued
from darts_pl.tasks.execution.searched import restore
from darts_pl.tasks.execution.time_budget import within_time
from darts_pl.tasks.execution.warning import equal_entropies, warn


def table_summary(genotype: Genotype) -> Mapping[str, float]:
    """What the table of the genotype's space says of it; nothing where there is no table, or it does not have it."""
    table = space_of(genotype.kind).table
    return {} if table is None or not table.covers(genotype) else table.summary(genotype)


def search_within_time(context: Context, fraction: float = 1.0) -> Context:
    """The context with a search that fits ``time_budget``, see `within_time`."""

    def build(settings: Any) -> tuple[pl.LightningModule, pl.LightningDataModule]:
        changed = copy(context.config)
        changed.sections = {**changed.sections, "search": settings}
        return build_search(changed, open_problem(changed))

    return within_time(context, "search", build, fraction)


@dataclass(frozen=True)
class Found:
    """What a search leaves.

    Args:
        genotype: that was derived.
        summary: as it was written.
        supernet: with its trained weights.
    """

    genotype: Genotype
    summary: Summary
    supernet: Supernet


def search(context: Context) -> Summary:
    """Search, derive the genotype, write it with its drawings and the summary; returns the summary."""
    return find(context).summary


def supernet_sizes(supernet: Supernet) -> Summary:
    """How many weights and architecture parameters a supernet has."""
    return {
        "search/parameters": sum(weight.numel() for weight in supernet.weights().values()),
        "architecture": sum(values.numel() for values in supernet.architecture().values()),
    }


def find(context: Context, *, fraction: float = 1.0) -> Found:
    """The same; returns all that the search leaves.

    Args:
        context: configuration and folder.
        fraction: of ``time_budget`` that the search may take.
    """
    started = time.monotonic()
    context = continued(context)
    context = search_within_time(context, fraction)
    config = context.config
    pl.seed_everything(config.seed, workers=True, verbose=False)
    problem = open_problem(config)
    module, data = build_search(config, problem)
    select = RULES.build(config.select)  # what fails here fails before the search
    check_rule(select, problem, module.supernet)
    history = ArchitectureHistory(context.folder.path)
    sizes = supernet_sizes(module.supernet)
    observers = RunObservers(dict(zip(config.observers, module.observers, strict=True)))
    done = fit_and_record(
        context,
        module,
        data,
        title="search",
        epochs=config.search.epochs,
        facts=sizes,
        settings=settings_of(context.resolved, "seed", "search", *PARTS, "order", "data"),
        callbacks=[history, ArchitecturePictures(history, alphas=config.logger.alphas), CheckRanksAgree()],
        observers=observers,
    )
    early = context.folder.taken_checkpoint  # of the epoch that a search takes which was ended early
    taken = restore(module, early) if observers.stopped is not None and early.is_file() else None
    entropies = equal_entropies(module.supernet)  # before a selection fixes mixing weights
    trained = Trained()  # by the rule
    if observers.stopped is None or taken is not None or observers.stopped.epoch + 1 == done.trainer.current_epoch:
        trials = build_trials(config, problem, module, data, context.folder.path, taken)
        genotype = select(module.supernet, trials)
        trained = trials.trained()
    else:  # an observer that keeps no states
        genotype = parse(history.genotypes[observers.stopped.epoch + 1])  # the first is that before any epoch
    metrics = {name: value for name, value in done.last.items() if name.startswith("search/")}
    summary: Summary = {
        "task": "search",
        "seed": config.seed,
        "order": config.order.name,
        "data": config.data.name,
        "genotype": str(genotype),
        "epochs": done.trainer.current_epoch,
        "batches": done.trainer.global_step,
        "steps": done.trainer.global_step + trained.steps,
        problem.samples: None if done.samples is None else done.samples + trained.samples,
        "search/parameters": sum(weight.numel() for weight in module.supernet.weights().values()),
        **metrics,
        **table_summary(genotype),
        "seconds": round(time.monotonic() - started, 3),
    }
    summary |= warn(context, summary, done.rows, entropies)
    write_result(done.trainer, context.folder, genotype, summary)
    return Found(genotype, summary, module.supernet)
