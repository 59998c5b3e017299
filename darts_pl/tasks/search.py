"""task=search: find a cell."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytorch_lightning as pl

from darts_pl.callbacks import ArchitectureHistory, LastCheckpoint, MetricsTable, RandomStates, progress_callbacks
from darts_pl.config import Config
from darts_pl.modules import SearchModule
from darts_pl.report import save_cells
from darts_pl.runs import build_loggers, build_trainer, fit
from darts_pl.runs.folder import Summary
from darts_pl.tasks.context import Context
from darts_pl.tasks.images import build_image_search
from darts_pl.tasks.text import build_text_search

#: By `search.space`: what builds the LightningModule and its paired data.
BUILDERS: Mapping[str, Callable[[Config], tuple[SearchModule, pl.LightningDataModule]]] = {
    "cnn": build_image_search,
    "rnn": build_text_search,
}


def search(context: Context) -> Summary:
    """Search, derive the genotype, write it with its drawings and the summary; returns the summary."""
    config, folder = context.config, context.folder
    started = time.monotonic()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    module, data = BUILDERS[config.search.space](config)
    table = MetricsTable(folder.metrics)
    trainer = build_trainer(
        config.hardware,
        folder,
        epochs=config.search.epochs,
        callbacks=[
            RandomStates(),
            table,
            ArchitectureHistory(folder.path),
            LastCheckpoint(folder.checkpoint),
            *progress_callbacks("search"),
        ],
        loggers=build_loggers(config.logger, folder, context.resolved),
        debug=config.debug,
    )
    fit(trainer, module, data, folder, config.resume)
    genotype = module.genotype()
    metrics = {name: value for name, value in table.last.items() if name.startswith("search/")}
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
