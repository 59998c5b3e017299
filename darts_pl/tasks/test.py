"""task=test: score a trained network on the test split."""

from __future__ import annotations

import time

import pytorch_lightning as pl

from darts_pl.data import unigram_perplexity
from darts_pl.errors import UserError
from darts_pl.records.folder import Summary
from darts_pl.runs import build_trainer
from darts_pl.spaces import Classifier, LanguageModel, count_multiply_adds, count_parameters
from darts_pl.tasks.context import Context
from darts_pl.tasks.image_data import image_shape, load_images, test_data
from darts_pl.tasks.images import classifier_module
from darts_pl.tasks.text import language_test, load_text, trains_language_model
from darts_pl.tasks.trained import Trained, find_trained

#: A network in its LightningModule, its data, and what the summary says beside its scores.
Testable = tuple[pl.LightningModule, pl.LightningDataModule, Summary]


def test(context: Context) -> Summary:
    """Score what `run=` or `checkpoint=` names, write the summary and return it.

    Raises:
        UserError: if there is no such network, or it was trained for other data than `data` names.
    """
    started = time.monotonic()
    trained = find_trained(context)
    config, network = trained.config, trained.network
    pl.seed_everything(config.seed, workers=True, verbose=False)
    testable = (
        _language_model(trained, network) if isinstance(network, LanguageModel) else _classifier(trained, network)
    )
    module, data, others = testable
    trainer = build_trainer(config.hardware, context.folder, epochs=1, callbacks=[], debug=config.debug)
    trainer.test(module, datamodule=data, verbose=False, weights_only=True)
    summary: Summary = {
        "task": "test",
        "data": config.data.name,
        "genotype": str(trained.genotype),
        "checkpoint": str(trained.checkpoint),
        "parameters": count_parameters(network),
        **others,
        **{name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name},
        "seconds": round(time.monotonic() - started, 3),
    }
    if trainer.is_global_zero:
        context.folder.write_summary(summary)
    return summary


def _classifier(trained: Trained, network: Classifier) -> Testable:
    config = trained.config
    images = load_images(config)
    shape = image_shape(config, images)
    _refuse_other(trained, "classes", network.classifier.out_features, images.classes)
    _refuse_other(trained, "channels", network.in_channels, shape[0])
    module = classifier_module(config, network, images.classes)
    return module, test_data(config, images), {"multiply_adds": count_multiply_adds(network, *shape)}


def _language_model(trained: Trained, network: LanguageModel) -> Testable:
    config = trained.config
    trains_language_model(config, trained.genotype)  # refuses data that are no text
    corpus = load_text(config)
    _refuse_other(trained, "words", network.vocabulary, len(corpus.words))
    module, data = language_test(config, network)
    return module, data, {"unigram/perplexity": unigram_perplexity(corpus)}


def _refuse_other(trained: Trained, what: str, ours: int, theirs: int) -> None:
    if ours != theirs:
        raise UserError(
            f"{trained.checkpoint}: a network for {ours} {what}, but data={trained.config.data.name} has {theirs}\n"
            "give the data that it was trained on: data=... data.path=..."
        )
