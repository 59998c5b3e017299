"""task=retrain: train the final network of a genotype from scratch and score it once."""

from __future__ import annotations

import time

import pytorch_lightning as pl

from darts_pl import zoo
from darts_pl.callbacks import weight_average
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype, find, is_text
from darts_pl.ops import activations, names
from darts_pl.runs.folder import Summary
from darts_pl.runs.settings import settings_of
from darts_pl.spaces import count_multiply_adds, count_parameters
from darts_pl.tasks.context import Context
from darts_pl.tasks.fitted import fitted, leave_result
from darts_pl.tasks.image_data import image_shape, load_images
from darts_pl.tasks.images import build_classifier
from darts_pl.tasks.text import train_language_model, trains_language_model


def retrain(context: Context) -> Summary:
    """Train what `genotype=` names; returns the summary."""
    return train_genotype(context, find_genotype(context.config.genotype), title="retrain")


def find_genotype(wanted: str | None) -> Genotype:
    """The genotype of a published name, a file, a name in a file, the folder of a run, or the literature's text.

    Raises:
        UserError: if `wanted` is none of these.
    """
    if wanted is None:
        raise UserError(f"genotype is missing; give genotype=FILE, FOLDER or one of {', '.join(zoo.ZOO)}")
    if wanted in zoo.ZOO:
        return zoo.published(wanted)
    genotype = find(wanted)
    if genotype is None:
        given = " ".join(wanted[:80].split())
        raise UserError(f"genotype={given}: neither a file nor a folder; {zoo.unknown(wanted)}")
    try:
        genotype.check_operations(activations() if genotype.kind == "rnn" else names())
    except UserError as error:
        raise error if is_text(wanted) else UserError(f"{wanted:.80}: {error}") from None
    return genotype


def train_genotype(context: Context, genotype: Genotype, title: str) -> Summary:
    """Train the final network of `genotype` on the whole training split and score the test split.

    Args:
        context: configuration and folder.
        genotype: of any kind that fits the data.
        title: what the lines on screen call it.
    """
    if trains_language_model(context.config, genotype):
        return train_language_model(context, genotype, title)
    config, folder = context.config, context.folder
    started = time.monotonic()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    module, data = build_classifier(config, genotype)
    channels, height, width = image_shape(config, load_images(config))
    multiply_adds = count_multiply_adds(module.network, channels, height, width)  # what fails here fails at once
    done = fitted(
        context,
        module,
        data,
        title=title,
        epochs=config.train.epochs,
        settings=settings_of(context.resolved, "seed", "train", "data", genotype=str(genotype)),
        callbacks=weight_average(config.train.ema),
        grad_clip=config.train.grad_clip,
        accumulate=config.train.accumulate,
    )
    trainer = done.trainer
    trainer.test(module, datamodule=data, ckpt_path=folder.checkpoint, verbose=False, weights_only=True)
    metrics = {name: float(value) for name, value in (done.last | trainer.callback_metrics).items() if "/" in name}
    summary: Summary = {
        "task": "retrain",
        "seed": config.seed,
        "data": config.data.name,
        "genotype": str(genotype),
        "epochs": trainer.current_epoch,
        "parameters": count_parameters(module.network),
        "multiply_adds": multiply_adds,
        "channels": channels,
        "height": height,
        "width": width,
        **metrics,
        "seconds": round(time.monotonic() - started, 3),
    }
    leave_result(trainer, folder, genotype, summary)
    return summary
