"""What a search on text and the training of a language model are built from."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytorch_lightning as pl

from darts_pl.config import Config
from darts_pl.data import (
    Corpus,
    Lengths,
    Loading,
    RetrainText,
    SearchText,
    TextSettings,
    load_corpus,
    unigram_perplexity,
)
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.modules import LanguageModule, LanguageRecipe, LanguageScores, SearchModule
from darts_pl.runs.folder import Summary
from darts_pl.runs.settings import settings_of
from darts_pl.spaces import Dropouts, LanguageModel, RnnSupernet, build_space, relaxation
from darts_pl.tasks.context import Context
from darts_pl.tasks.fitted import fitted, leave_result
from darts_pl.tasks.search_module import search_module


@lru_cache(maxsize=1)
def _read(name: str, path: str | None) -> Corpus:
    """The corpus, read once for the tasks of one command."""
    return load_corpus(name, path)


def load_text(config: Config) -> Corpus:
    """The corpus that `data` names, its training text shortened to `data.share`.

    Raises:
        UserError: if it is unknown, missing or malformed.
    """
    corpus = _read(config.data.name, config.data.path)
    if config.data.share == 1:
        return corpus
    return replace(corpus, train=corpus.train[: int(config.data.share * len(corpus.train))])


def _dropouts(section: Any) -> Dropouts:
    return Dropouts(
        dropout=section.dropout,
        dropouth=section.dropouth,
        dropoutx=section.dropoutx,
        dropouti=section.dropouti,
        dropoute=section.dropoute,
    )


def _loading(config: Config, section: str) -> Loading:
    """Batches of training sequences as `section` ("search" or "train") says, unless `data` does."""
    if config.data.batch_size is not None:
        return Loading(config.data.batch_size, config.seed, "data.batch_size")
    return Loading(getattr(config, section).batch_size, config.seed, f"{section}.batch_size")


def build_text_search(config: Config) -> tuple[SearchModule, pl.LightningDataModule]:
    """Supernet and LightningModule of a recurrent search, and its paired data.

    Raises:
        UserError: if the search space cannot be built or the text does not fit it.
    """
    search, corpus = config.search, load_text(config)
    lengths = Lengths(search.bptt, search.short_probability)
    data = SearchText(corpus, TextSettings(**vars(config.data)), _loading(config, "search"), lengths)
    supernet = RnnSupernet(
        build_space(search.space, search.candidates, search.nodes),
        vocabulary=len(corpus.words),
        units=search.units,
        dropouts=_dropouts(search),
        relaxation=relaxation(search.relaxation),
    )
    module = search_module(
        config, supernet, LanguageScores, clip_virtual=True, bptt=search.bptt, slowness=search.slowness
    )
    return module, data


def build_language_model(config: Config, genotype: Genotype) -> tuple[LanguageModule, pl.LightningDataModule]:
    """The language model of a genotype in its LightningModule, and its data.

    Raises:
        UserError: if the genotype builds no language model or the text does not fit it.
    """
    train, corpus = config.train, load_text(config)
    lengths = Lengths(
        train.bptt,
        train.short_probability,
        spread=train.length_spread,
        least=train.length_least,
        most=train.bptt + train.length_over,
    )
    data = RetrainText(corpus, TextSettings(**vars(config.data)), _loading(config, "train"), lengths)
    network = LanguageModel(genotype, vocabulary=len(corpus.words), units=train.units, dropouts=_dropouts(train))
    return LanguageModule(network, _recipe(config)), data


def language_test(config: Config, network: LanguageModel) -> tuple[LanguageModule, pl.LightningDataModule]:
    """A trained language model in its LightningModule, and its data, of which the test text is meant to be read."""
    settings, loading = TextSettings(**vars(config.data)), Loading(1, config.seed)
    return LanguageModule(network, _recipe(config)), RetrainText(
        load_text(config), settings, loading, Lengths(config.train.bptt)
    )


def _recipe(config: Config) -> LanguageRecipe:
    train = config.train
    return LanguageRecipe(
        lr=train.lr,
        weight_decay=train.weight_decay,
        bptt=train.bptt,
        slowness=train.slowness,
        activation=train.activation,
        nonmono=train.nonmono,
        rollbacks=train.rollbacks,
    )


def trains_language_model(config: Config, genotype: Genotype) -> bool:
    """Whether this genotype on these data is a language model; False = a classifier.

    Raises:
        UserError: if genotype, data and training recipe do not fit each other.
    """
    recurrent, text, data = genotype.kind == "rnn", config.data.kind == "text", config.data.name
    if recurrent and not text:
        raise UserError(
            f"a recurrent genotype builds a language model, but data={data} holds images\n"
            "use data=ptb, wikitext2, text or pydocs, or a convolutional genotype"
        )
    if text and not recurrent:
        raise UserError(
            f"a convolutional genotype builds an image classifier, but data={data} is text\n"
            "use images such as data=cifar10, or a recurrent genotype such as genotype=darts_v2_rnn"
        )
    if recurrent != (config.train.network == "language_model"):
        recipe = "darts_rnn" if recurrent else "darts"
        raise UserError(f"train.network={config.train.network} does not fit data={data}; use train={recipe}")
    return recurrent


def train_language_model(context: Context, genotype: Genotype, title: str) -> Summary:
    """Train the language model of `genotype` and score the test text with its best-validation weights.

    Args:
        context: configuration and folder.
        genotype: of kind "rnn".
        title: what the lines on screen call it.
    """
    config = context.config
    started = time.monotonic()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    module, data = build_language_model(config, genotype)
    done = fitted(
        context,
        module,
        data,
        title=title,
        epochs=config.train.epochs,
        settings=settings_of(context.resolved, "seed", "train", "data", genotype=str(genotype)),
        grad_clip=config.train.grad_clip,
    )
    trainer = done.trainer
    trainer.test(module, datamodule=data, verbose=False, weights_only=True)
    metrics = {name: float(value) for name, value in (done.last | trainer.callback_metrics).items() if "/" in name}
    summary: Summary = {
        "task": "retrain",
        "seed": config.seed,
        "data": config.data.name,
        "genotype": str(genotype),
        "epochs": trainer.current_epoch,
        "parameters": module.network.count_parameters(),
        **metrics,
        "retrain/best_valid_perplexity": module.best_perplexity,
        "unigram/perplexity": unigram_perplexity(load_text(config)),
        "seconds": round(time.monotonic() - started, 3),
    }
    leave_result(trainer, context.folder, genotype, summary)
    return summary
