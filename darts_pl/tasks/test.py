"""task=test: score a trained network on the test split."""

from __future__ import annotations

import time

import pytorch_lightning as pl

from darts_pl.callbacks import RecordTest, progress_callbacks
from darts_pl.problems import open_problem
from darts_pl.records.folder import Summary
from darts_pl.runs import build_trainer
from darts_pl.spaces import count_parameters
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.run_data import refuse_other_run_data
from darts_pl.tasks.execution.trained import find_trained
from darts_pl.tasks.retrain import scored_images


def test(context: Context) -> Summary:
    """Score what `run=` or `checkpoint=` names, write the summary and return it.

    Raises:
        UserError: if there is no such network, or it was trained for other data than `data` names.
    """
    started = time.monotonic()
    trained = find_trained(context)
    config = trained.config
    pl.seed_everything(config.seed, workers=True, verbose=False)
    problem = open_problem(config)
    problem.check_genotype(trained.genotype)
    testing = problem.testing(trained.network, trained.checkpoint)
    refuse_other_run_data(trained)
    trainer = build_trainer(
        config.hardware,
        context.folder,
        epochs=1,
        callbacks=[RecordTest(context.folder.path), *progress_callbacks("test")],
        debug=config.debug,
    )
    trainer.test(testing.module, datamodule=testing.data, verbose=False, weights_only=True)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
    summary: Summary = {
        "task": "test",
        "data": config.data.name,
        "genotype": str(trained.genotype),
        "checkpoint": str(trained.checkpoint),
        "parameters": count_parameters(trained.network),
        **testing.facts,
        **scored_images(config, problem, metrics),
        **metrics,
        "seconds": round(time.monotonic() - started, 3),
    }
    if trainer.is_global_zero:
        context.folder.write_summary(summary)
    return summary
