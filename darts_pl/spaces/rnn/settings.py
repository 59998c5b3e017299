"""Settings of recurrent searches and of training language models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from darts_pl.settings import above, at_least, between, or_null, setting
from darts_pl.spaces.settings import SearchSettings

_FRACTION = between(0, 1, with_high=False)


@dataclass(frozen=True, kw_only=True)
class RecurrentSettings:
    """What a recurrent search and the training of a language model share."""

    units: int = setting("size of the embeddings and of the hidden state", at_least(1))
    bptt: int = setting("usual length of a training sequence, in words", at_least(1))
    short_probability: float = setting("probability that a sequence has half the usual length", between(0, 1))
    dropout: float = setting("dropout of the cell's outputs", _FRACTION)
    dropout_hidden: float = setting("dropout of the hidden state and of nodes", _FRACTION)
    dropout_input: float = setting("dropout of the cell's inputs", _FRACTION)
    dropout_embedding: float = setting("dropout of the embeddings", _FRACTION)
    dropout_word: float = setting("dropout of whole words", _FRACTION)
    slowness: float = setting("weight of the mean squared difference of successive outputs", at_least(0))


@dataclass(frozen=True, kw_only=True)
class RnnSearchSettings(RecurrentSettings, SearchSettings):
    """A recurrent search."""

    def requires(self, config: Any) -> Iterator[str]:
        """BatchNorm averages over the batch."""
        if config.task.runs_search and config.search_batch_size < 2:
            yield "search.batch_size=1: must be at least 2 with search=rnn, whose BatchNorm averages over it"


@dataclass(frozen=True, kw_only=True)
class LanguageTrainSettings(RecurrentSettings):
    """Training a language model from scratch."""

    epochs: int = setting("most epochs of the training", at_least(1))
    batch_size: int = setting("batch size per process", at_least(1))
    length_spread: float = setting("standard deviation of a sequence's length; 0 = none", at_least(0))
    length_least: int = setting("smallest length of a sequence", at_least(1))
    length_margin: int = setting("how far a length may exceed bptt", at_least(0))
    lr: float = setting("learning rate of a sequence of length bptt", above(0))
    weight_decay: float = setting("L2 weight decay", at_least(0))
    grad_clip: float | None = setting("largest norm of the gradient", or_null(above(0), "none"))
    activation: float = setting("weight of the mean squared output after dropout", at_least(0))
    patience_epochs: int = setting("epochs without a better validation loss before weights are averaged", at_least(1))
    rollbacks: int = setting("how often a loss that is not finite may lead back to the best weights", at_least(0))
