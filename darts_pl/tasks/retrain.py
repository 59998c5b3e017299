"""task=retrain: train the final network of a genotype from scratch and score it once."""

from __future__ import annotations

import re
import time

import pytorch_lightning as pl

from darts_pl import zoo
from darts_pl.callbacks import KeepDescription
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype, find, is_text
from darts_pl.problems import open_problem
from darts_pl.records.folder import Summary
from darts_pl.records.run_identity import settings_of
from darts_pl.spaces import SPACES, space_of
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.recording import fit_and_record, write_result


def retrain(context: Context) -> Summary:
    """Train what `genotype=` names; returns the summary."""
    return train_genotype(context, find_genotype(context.config.genotype), title="retrain")


def find_genotype(wanted: str | None) -> Genotype:
    """The genotype of a published name, a file, a name in a file, the folder of a run, the literature's text, or a
    number of a table.

    Raises:
        UserError: if `wanted` is none of these.
    """
    if wanted is None:
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
        "seconds": round(time.monotonic() - started, 3),
    }
    write_result(trainer, folder, genotype, summary)
    if described is not None and trainer.is_global_zero:
        described.write(folder.path)
    return summary
