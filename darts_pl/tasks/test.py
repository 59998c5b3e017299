"""task=test: score a trained network on the test split."""

from __future__ import annotations

import time

import pytorch_lightning as pl

from darts_pl.errors import UserError
from darts_pl.networks import count_multiply_adds, count_parameters
from darts_pl.runs import build_trainer
from darts_pl.runs.folder import Summary
from darts_pl.tasks.context import Context
from darts_pl.tasks.image_data import image_shape, load_images, test_data
from darts_pl.tasks.images import classifier_module
from darts_pl.tasks.trained import find_trained


def test(context: Context) -> Summary:
    """Score what `run=` or `checkpoint=` names, write the summary and return it.

    Raises:
        UserError: if there is no such network, or it was trained for other images than `data` names.
    """
    started = time.monotonic()
    trained = find_trained(context)
    config, network = trained.config, trained.network
    pl.seed_everything(config.seed, workers=True, verbose=False)
    images = load_images(config)
    shape = image_shape(config, images)
    for name, ours, theirs in (
        ("classes", network.classifier.out_features, images.classes),
        ("channels", network.in_channels, shape[0]),
    ):
        if ours != theirs:
            raise UserError(
                f"{trained.checkpoint}: a network for {ours} {name}, but data={config.data.name} has {theirs}\n"
                "give the data that it was trained on: data=... data.path=..."
            )
    trainer = build_trainer(config.hardware, context.folder, epochs=1, callbacks=[], debug=config.debug)
    module = classifier_module(config, network, images.classes)
    trainer.test(module, datamodule=test_data(config, images), verbose=False, weights_only=True)
    summary: Summary = {
        "task": "test",
        "data": config.data.name,
        "genotype": str(trained.genotype),
        "checkpoint": str(trained.checkpoint),
        "parameters": count_parameters(network),
        "multiply_adds": count_multiply_adds(network, *shape),
        **{name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name},
        "seconds": round(time.monotonic() - started, 3),
    }
    if trainer.is_global_zero:
        context.folder.write_summary(summary)
    return summary
