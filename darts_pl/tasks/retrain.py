"""task=retrain: train the final network of a genotype from scratch and score it once."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl

from darts_pl import zoo
from darts_pl.callbacks import KeepDescription
from darts_pl.config import Config
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype, find, is_text
from darts_pl.problems import Problem, open_problem
from darts_pl.records.folder import Summary
from darts_pl.records.run_identity import settings_of
from darts_pl.runs import is_rank_zero
from darts_pl.spaces import SPACES, space_of
from darts_pl.tasks.comparison import check_comparison, train_known_network
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.recording import fit_and_record, write_result
from darts_pl.tasks.execution.time_budget import within_time
from darts_pl.tasks.execution.warning import warn


@dataclass(frozen=True)
class Retrained:
    """What a training leaves.

    Args:
        genotype: of the network.
        summary: as it was written, with what ``compare=`` adds.
        config: of the training, with the sizes and epochs that ``time_budget`` chose.
    """

    genotype: Genotype
    summary: Summary
    config: Config


def retrain(context: Context) -> Summary:
    """Train what `genotype=` names, and what `compare=` names in the same way; returns the summary."""
    return train_as_told(context).summary


def train_as_told(context: Context) -> Retrained:
    """The same; returns all that the training leaves."""
    genotype = find_genotype(context.config.genotype)
    check_comparison(context)
    context = training_within_time(context, genotype, trainings=1 if context.config.compare is None else 2)
    summary = train_genotype(context, genotype, title="retrain")
    compared = train_known_network(context, summary)
    if compared and is_rank_zero():
        context.folder.write_summary(summary | compared)
    return Retrained(genotype, summary | compared, context.config)


def find_genotype(wanted: str | None) -> Genotype:
    """The genotype of a published name, a file, a name in a file, the folder of a run, the literature's text, or a
    number of a table.

    Raises:
        UserError: if `wanted` is none of these.
    """
    if wanted is None or not wanted.strip():  # an empty path would be the current folder
        raise UserError(
            "genotype is missing; give genotype=FILE, FOLDER or a name such as darts_v2; task=zoo lists all"
        )
    if zoo.is_published(wanted):
        return zoo.published(wanted)
    genotype = find(wanted)
    if genotype is None and re.fullmatch(r"[-+]?\d{1,18}", wanted):
        return _numbered(int(wanted))
    if genotype is None:
        given = " ".join(wanted[:80].split())
        raise UserError(f"genotype={given}: neither a file nor a folder; {zoo.unknown(wanted)}")
    try:
        genotype.check_operations(space_of(genotype.kind).operations())
    except UserError as error:
        raise error if is_text(wanted) else UserError(f"{wanted}: {error}") from None
    return genotype


def training_within_time(context: Context, genotype: Genotype, *, trainings: int = 1, fraction: float = 1.0) -> Context:
    """The context with a training that fits ``time_budget``, see `within_time`.

    Args:
        context: of the training.
        genotype: that is trained.
        trainings: how many of about the same length there are.
        fraction: of the time that all of them may take.
    """

    def build(settings: Any) -> tuple[pl.LightningModule, pl.LightningDataModule]:
        changed = copy(context.config)
        changed.sections = {**changed.sections, "train": settings}
        problem = open_problem(changed)
        problem.check_genotype(genotype)
        training = problem.training(genotype)
        return training.module, training.data

    return within_time(context, "train", build, fraction / trainings)


def scored_images(config: Config, problem: Problem, metrics: Mapping[str, float]) -> Summary:
    """How many images the accuracy on the test split was counted on; empty where there is none, or only one batch."""
    count = problem.identity()["test"].get("count") if "test/accuracy" in metrics and not config.debug else None
    return {} if count is None else {"test/images": count}


def _numbered(number: int) -> Genotype:
    """The genotype with that number in the table of a space."""
    tables = (SPACES.get(name).table for name in SPACES)
    return next(table for table in tables if table is not None).genotype(number)


def train_genotype(context: Context, genotype: Genotype, title: str) -> Summary:
    """Train the final network of `genotype` on the training split and score the test split.

    Args:
        context: configuration and folder.
        genotype: of any kind that fits the data.
        title: what the lines on screen call it.
    """
    config, folder = context.config, context.folder
    started = time.monotonic()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    problem = open_problem(config)
    problem.check_genotype(genotype)
    training = problem.training(genotype)
    described = training.description
    done = fit_and_record(
        context,
        training.module,
        training.data,
        title=title,
        epochs=config.train.epochs,
        facts=training.facts,
        settings=settings_of(context.resolved, "seed", "train", "data", genotype=str(genotype)),
        callbacks=[*training.callbacks, *([KeepDescription(described)] if described is not None else [])],
        grad_clip=training.grad_clip,
        accumulate=training.accumulate,
    )
    trainer = done.trainer
    tested = folder.checkpoint if training.tests_checkpoint else None
    trainer.test(training.module, datamodule=training.data, ckpt_path=tested, verbose=False, weights_only=True)
    metrics = {name: float(value) for name, value in (done.last | trainer.callback_metrics).items() if "/" in name}
    summary: Summary = {
        "task": "retrain",
        "seed": config.seed,
        "data": config.data.name,
        "genotype": str(genotype),
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        problem.samples: done.samples,
        **training.facts,
        **metrics,
        **training.after(),
        **scored_images(context.config, problem, metrics),
        "seconds": round(time.monotonic() - started, 3),
    }
    summary |= warn(context, summary, done.rows)
    write_result(trainer, folder, genotype, summary)
    if described is not None and trainer.is_global_zero:
        described.write(folder.path)
    return summary
