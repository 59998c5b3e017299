"""task=search: find a cell."""

from __future__ import annotations

import time

import pytorch_lightning as pl

from darts_pl.bilevel import hypergradient
from darts_pl.callbacks import ArchitectureHistory, LastCheckpoint, MetricsTable, RandomStates, progress_callbacks
from darts_pl.data import SearchImages
from darts_pl.errors import UserError
from darts_pl.modules import AlphaRecipe, SearchModule, WeightRecipe
from darts_pl.report import save_cells
from darts_pl.runs import build_loggers, build_trainer
from darts_pl.runs.folder import Summary
from darts_pl.selection import rule
from darts_pl.spaces import CnnSupernet, build_space, relaxation
from darts_pl.tasks.context import Context, image_settings

#: Smaller images vanish in the cells that halve them (two of them, after a 2-pixel border of crops).
SMALLEST_IMAGE = 8


def search(context: Context) -> Summary:
    """Search, derive the genotype, write it with its drawings and the summary; returns the summary."""
    config, folder = context.config, context.folder
    started = time.monotonic()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    module = build_search(context)
    data = SearchImages(context.images, image_settings(config, config.search_batch_size, cutout=0))
    trainer = build_trainer(
        config.hardware,
        folder,
        epochs=config.search.epochs,
        callbacks=[
            RandomStates(),
            MetricsTable(folder.metrics),
            ArchitectureHistory(folder.path),
            LastCheckpoint(folder.checkpoint),
            *progress_callbacks("search"),
        ],
        loggers=build_loggers(config.logger, folder, context.resolved),
        debug=config.debug,
    )
    trainer.fit(module, datamodule=data, ckpt_path=folder.to_continue(config.resume), weights_only=True)
    genotype = module.genotype()
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("search/")}
    summary: Summary = {
        "task": "search",
        "seed": config.seed,
        "order": config.order.name,
        "data": config.data.name,
        "genotype": str(genotype),
        "epochs": config.search.epochs,
        "batches": trainer.global_step,
        "search/parameters": sum(weight.numel() for weight in module.supernet.weights().values()),
        **metrics,
        "seconds": round(time.monotonic() - started, 3),
    }
    if trainer.is_global_zero:
        folder.write_genotype(genotype)
        save_cells(genotype, folder.path)
        folder.write_summary(summary)
    return summary


def build_search(context: Context) -> SearchModule:
    """Supernet and LightningModule of a configuration.

    Raises:
        UserError: if the search space cannot be built, or the images are too small for it.
    """
    config, images = context.config, context.images
    if min(images.height, images.width) < SMALLEST_IMAGE:
        raise UserError(
            f"data: images of {images.height}x{images.width} pixels are too small; "
            f"a search needs {SMALLEST_IMAGE}x{SMALLEST_IMAGE} or more"
        )
    search = config.search
    supernet = CnnSupernet(
        build_space(search.space, search.candidates, search.nodes),
        init_channels=search.init_channels,
        layers=search.layers,
        classes=images.classes,
        in_channels=images.channels,
        relaxation=relaxation(search.relaxation),
    )
    weights, alphas = search.weights, search.alphas
    return SearchModule(
        supernet,
        order=hypergradient(config.order.name),
        weights=WeightRecipe(
            lr=weights.lr,
            lr_min=weights.lr_min,
            momentum=weights.momentum,
            weight_decay=weights.weight_decay,
            grad_clip=weights.grad_clip,
            epochs=search.epochs,
        ),
        alphas=AlphaRecipe(alphas.lr, (alphas.betas[0], alphas.betas[1]), alphas.weight_decay),
        radius=config.order.radius,
        classes=images.classes,
        select=rule(config.select.name),
    )
