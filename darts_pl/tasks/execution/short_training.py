"""A short training of a genotype on the two halves of a search, by which genotypes are compared."""

from __future__ import annotations

import dataclasses
from copy import copy
from typing import Any

import pytorch_lightning as pl

from darts_pl.config import Config
from darts_pl.genotype import Genotype
from darts_pl.problems import open_problem
from darts_pl.records.folder import Summary
from darts_pl.records.run_identity import settings_of
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.recording import fit_and_record, write_result
from darts_pl.tasks.execution.warning import warn


def train_on_halves(context: Context, genotype: Genotype, *, epochs: int, title: str) -> Summary:
    """Train the final network of `genotype` from scratch on the train split of a search and score it on the valid
    split; the test split is not read.

    The context's folder receives what every run leaves. A training that was stopped there continues, and one that
    has ended is not repeated. The loggers of the configuration get nothing of it.

    Args:
        context: configuration and folder.
        genotype: of a kind that fits the data.
        epochs: of the training, in place of `train.epochs`.
        title: what the lines on screen call it.

    Returns:
        The summary: `score` (what a choice maximises: the accuracy after the last epoch, or the best perplexity of
        all epochs with a minus sign), `valid_samples` behind it, `retrain/valid_...`, `parameters`,
        `multiply_adds` where they are counted, and what it cost: `steps` of the optimizer, `images` or `words` in
        all batches, `seconds`, in which a part of an earlier run counts too.

    Raises:
        UserError: if data, genotype and settings do not fit each other, or the folder holds another training.
    """
    context = _for_halves(context, epochs)
    config, folder = context.config, context.folder
    pl.seed_everything(config.seed, workers=True, verbose=False)
    problem = open_problem(config)
    problem.check_genotype(genotype)
    training = problem.training(genotype, halves=True)
    done = fit_and_record(
        context,
        training.module,
        training.data,
        title=title,
        epochs=epochs,
        facts=training.facts,
        settings=halves_identity(context) | {"genotype": str(genotype)},
        callbacks=training.callbacks,
        grad_clip=training.grad_clip,
        accumulate=training.accumulate,
        validate_at_end=training.validate_at_end,
        logs=False,
    )
    metrics: Summary = {name: float(value) for name, value in done.last.items() if "/" in name}
    metrics |= training.after()
    assert training.score is not None  # a training on halves has a valid split
    summary: Summary = {
        "task": "train_on_halves",
        "seed": config.seed,
        "data": config.data.name,
        "genotype": str(genotype),
        "epochs": done.trainer.current_epoch,
        "score": training.score(metrics),
        "steps": done.trainer.global_step,
        problem.samples: done.samples,
        **training.facts,
        **metrics,
        "seconds": round(done.seconds, 3),
    }
    summary |= warn(context, summary, done.rows)
    write_result(done.trainer, folder, genotype, summary)
    return summary


def halves_identity(context: Context) -> dict[str, Any]:
    """The settings that determine the score of such a training, beside the genotype, flat, by dotted key."""
    data, search = context.resolved["data"], context.resolved["search"]
    split = {f"data.{key}": data[key] for key in ("split", "split_seed") if key in data}
    portion = {"search.train_portion": search["train_portion"]} if "train_portion" in search else {}
    return settings_of(context.resolved, "seed", "train", "data", **split, **portion)


def _for_halves(context: Context, epochs: int) -> Context:
    """The same with so many epochs, continuing a checkpoint if the folder has one."""
    config: Config = copy(context.config)
    config.sections = {**config.sections, "train": dataclasses.replace(config.train, epochs=epochs)}
    config.resume = context.folder.checkpoint.is_file() or context.folder.previous_checkpoint.is_file()
    resolved = {**context.resolved, "train": {**context.resolved["train"], "epochs": epochs}}
    return dataclasses.replace(context, config=config, resolved=resolved)
