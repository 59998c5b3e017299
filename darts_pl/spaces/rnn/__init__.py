"""The recurrent space: supernet, language model, and what both are made of."""

from darts_pl.spaces.rnn.language_model import DerivedCell, LanguageModel
from darts_pl.spaces.rnn.losses import slowness, word_loss
from darts_pl.spaces.rnn.sequence import Dropouts, GatedCell, SequenceNetwork, SequenceOutput
from darts_pl.spaces.rnn.settings import LanguageTrainSettings, RnnSearchSettings
from darts_pl.spaces.rnn.space import UNITS, VOCABULARY, RnnSpace
from darts_pl.spaces.rnn.supernet import RnnSupernet

__all__ = [
    "UNITS",
    "VOCABULARY",
    "DerivedCell",
    "Dropouts",
    "GatedCell",
    "LanguageModel",
    "LanguageTrainSettings",
    "RnnSearchSettings",
    "RnnSpace",
    "RnnSupernet",
    "SequenceNetwork",
    "SequenceOutput",
    "slowness",
    "word_loss",
]
