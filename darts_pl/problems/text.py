"""Text: searches of recurrent cells and language models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from darts_pl.config import Config
from darts_pl.data import (
    Corpus,
    HalfText,
    Lengths,
    Loading,
    RetrainText,
    SearchText,
    describe,
    load_corpus,
    unigram_perplexity,
)
from darts_pl.data.identity import Identity
from darts_pl.genotype import Genotype
from darts_pl.inference import load_language_model
from darts_pl.modules import LanguageModule, LanguageRecipe, LanguageScores
from darts_pl.problems.base import PROBLEMS, Problem, Testing, Training
from darts_pl.records import NetworkDescription, TextInput
from darts_pl.records.folder import Summary
from darts_pl.selection import Size
from darts_pl.spaces import LanguageModel, Outcome, Supernet, build, space_of


@lru_cache(maxsize=1)
def _read(name: str, path: str | None) -> Corpus:
    """The corpus, read once for the tasks of one command."""
    return load_corpus(name, path)


def load_text(config: Config) -> Corpus:
    """The corpus that `data` names, its training text shortened to `data.fraction`.

    Raises:
        UserError: if it is unknown, missing or malformed.
    """
    corpus = _read(config.data.name, config.data.path)
    if config.data.fraction == 1:
        return corpus
    return replace(corpus, train=corpus.train[: int(config.data.fraction * len(corpus.train))])


def _loading(config: Config, section: str) -> Loading:
    """Batches of training sequences as `section` ("search" or "train") says, unless `data` does."""
    if config.data.batch_size is not None:
        return Loading(config.data.batch_size, config.seed, "data.batch_size")
    return Loading(getattr(config, section).batch_size, config.seed, f"{section}.batch_size")


class TextProblem(Problem):
    """Text whose next word is predicted."""

    gives = "text"
    samples = "words"
    examples = "data=ptb, wikitext2, text or pydocs"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.corpus = load_text(config)

    @property
    def facts(self) -> Mapping[str, int]:
        return {"vocabulary": len(self.corpus.words)}

    def identity(self) -> Identity:
        return describe(self.corpus)

    def scores(self) -> LanguageScores:
        return LanguageScores()

    def count(self, outcome: Outcome, batch: Any) -> tuple[int, Tensor | None]:
        return batch[1].numel(), None

    def search_data(self, supernet: Supernet) -> pl.LightningDataModule:
        search = self.config.search
        lengths = Lengths(search.bptt, search.short_probability)
        return SearchText(self.corpus, self.config.data, _loading(self.config, "search"), lengths)

    def training(self, genotype: Genotype, *, halves: bool = False) -> Training:
        train = self.config.train
        lengths = Lengths(
            train.bptt,
            train.short_probability,
            spread=train.length_spread,
            min_length=train.length_least,
            max_length=train.bptt + train.length_margin,
        )
        data = (HalfText if halves else RetrainText)(
            self.corpus, self.config.data, _loading(self.config, "train"), lengths
        )
        network = build(genotype, **space_of(genotype.kind).network_sizes(train, self.facts))
        module = LanguageModule(network, self._recipe())

        def after() -> Summary:
            return {"retrain/best_valid_perplexity": module.best_perplexity, **({} if halves else self._unigram())}

        facts: Summary = {"parameters": network.count_parameters()}
        if halves:
            facts["valid_samples"] = data.valid_size
        return Training(
            module,
            data,
            facts,
            grad_clip=train.grad_clip,
            after=after,
            description=self.describe(genotype),
            score=(lambda metrics: -float(metrics["retrain/best_valid_perplexity"])) if halves else None,
        )

    def size(self, genotype: Genotype) -> Size:
        self.check_genotype(genotype)
        with torch.device("meta"):
            network = LanguageModel(genotype, vocabulary=len(self.corpus.words), units=self.config.train.units)
        return Size(network.count_parameters(), None)

    def testing(self, network: LanguageModel, checkpoint: Path) -> Testing:
        self.refuse_other(checkpoint, "words", network.vocabulary, len(self.corpus.words))
        config = self.config
        data = RetrainText(self.corpus, config.data, Loading(1, config.seed), Lengths(config.train.bptt))
        return Testing(LanguageModule(network, self._recipe()), data, self._unigram())

    def _unigram(self) -> Summary:
        return {"unigram/perplexity": unigram_perplexity(self.corpus)}

    def _recipe(self) -> LanguageRecipe:
        train = self.config.train
        return LanguageRecipe(
            lr=train.lr,
            weight_decay=train.weight_decay,
            bptt=train.bptt,
            slowness=train.slowness,
            activation=train.activation,
            patience_epochs=train.patience_epochs,
            rollbacks=train.rollbacks,
        )

    def describe(self, genotype: Genotype, data: Any = None) -> NetworkDescription:
        words = TextInput(words=self.corpus.words, splitting=self.corpus.splitting)
        return NetworkDescription(genotype=genotype, input=words, data=self.config.data.name)

    @classmethod
    def load_network(cls, checkpoint: Path, genotype: Genotype, dtype: torch.dtype) -> LanguageModel:
        return load_language_model(checkpoint, genotype, dtype)


PROBLEMS.add("text", TextProblem)
