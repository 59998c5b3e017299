"""``compare=NETWORK``: a network that the user knows, trained in the same way."""

from __future__ import annotations

import pytorch_lightning as pl

from darts_pl.problems import Training, open_problem
from darts_pl.records.folder import Summary
from darts_pl.records.run_identity import settings_of
from darts_pl.report import compare_networks
from darts_pl.runs import is_rank_zero
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.recording import fit_and_record

#: Subfolder of the training.
FOLDER = "compare"


def check_comparison(context: Context) -> None:
    """Refuse before a training what ``compare=`` cannot name.

    Raises:
        UserError: if torchvision has no such network, or it cannot read these data.
    """
    if context.config.compare is not None:
        open_problem(context.config).known_network(context.config.compare)


def train_known_network(context: Context, found: Summary) -> Summary:
    """Train the network that ``compare=`` names on the same data with the same recipe, and compare its score.

    Args:
        context: of the training that it is compared with.
        found: the results of that training.

    Returns:
        `compare/network`, `compare/test_accuracy`, `compare/parameters`, `compare/multiply_adds`, and what follows
        from the scores, `compare/conclusion`; empty without ``compare=``.
    """
    config, name = context.config, context.config.compare
    if name is None:
        return {}
    context = context.for_subfolder(FOLDER)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    training: Training = open_problem(config).known_network(name)
    done = fit_and_record(
        context,
        training.module,
        training.data,
        title=name,
        epochs=config.train.epochs,
        facts=training.facts,
        settings=settings_of(context.resolved, "seed", "train", "data", compare=name),
        callbacks=training.callbacks,
        grad_clip=training.grad_clip,
        accumulate=training.accumulate,
        logs=False,
    )
    tested = context.folder.checkpoint
    done.trainer.test(training.module, datamodule=training.data, ckpt_path=tested, verbose=False, weights_only=True)
    accuracy = float(done.trainer.callback_metrics["test/accuracy"])
    summary: Summary = {
        "compare/network": name,
        "compare/test_accuracy": accuracy,
        "compare/parameters": training.facts["parameters"],
        "compare/multiply_adds": training.facts["multiply_adds"],
        "compare/seconds": round(done.seconds, 3),
    }
    images = found.get("test/images")
    if isinstance(images, int):
        summary["compare/conclusion"] = compare_networks(float(found["test/accuracy"] or 0), accuracy, images, name)
    if is_rank_zero():
        context.folder.write_summary(
            {"task": "compare", "network": name, **training.facts, "test/accuracy": accuracy, "seed": config.seed}
        )
    return summary
