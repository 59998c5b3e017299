"""The recurrent search space as one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from darts_pl.genotype import KINDS, Genotype
from darts_pl.ops import activations, check_activations
from darts_pl.settings import Range, at_least, between, setting
from darts_pl.spaces.base import Drawing, Parts, SearchSettings, Space, register_space
from darts_pl.spaces.rnn.language_model import LanguageModel
from darts_pl.spaces.rnn.sequence import Dropouts
from darts_pl.spaces.rnn.supernet import CELL_TYPE, RnnSupernet
from darts_pl.spaces.sizes import count_parameters
from darts_pl.spaces.space import SearchSpace, cell_space

#: H and V of the language model of the paper, section A.2.2.
UNITS, VOCABULARY = 850, 10_000

_PROBABILITY = between(0, 1, with_high=False)


@dataclass(frozen=True, kw_only=True)
class RnnSearchSettings(SearchSettings):
    """A recurrent search."""

    batch_size: int = setting(
        "number of text streams side by side, of each of the two splits",
        Range(lambda value: value >= 2, "at least 2 with search=rnn, whose BatchNorm averages over it", (1,)),
    )
    units: int = setting("length of embeddings and hidden state", at_least(1))
    bptt: int = setting("words of a sequence", at_least(1))
    short_probability: float = setting("probability that a sequence has half the usual length", between(0, 1))
    dropout: float = setting("dropout of the cell's outputs", _PROBABILITY)
    dropouth: float = setting("dropout of hidden state and nodes", _PROBABILITY)
    dropoutx: float = setting("dropout of the cell's inputs", _PROBABILITY)
    dropouti: float = setting("dropout of the embeddings", _PROBABILITY)
    dropoute: float = setting("dropout of whole words", _PROBABILITY)
    slowness: float = setting("weight of the temporal activation regularisation in the weight loss", at_least(0))


@register_space
class RnnSpace(Space):
    """One recurrent cell: each node keeps one earlier node and one activation (paper section 2.1)."""

    name = "rnn"
    kind = "rnn"
    data = "text"
    settings = RnnSearchSettings
    adjective = "recurrent"
    builds = "a language model"
    example = "darts_v2_rnn"
    drawing = Drawing(
        inputs=("x_t", "h_{t-1}"),
        output="h_t",
        join="mean",
        titles={CELL_TYPE: "recurrent cell"},
        first_node=True,
    )

    def cells(self, candidates: Sequence[Any], nodes: int) -> SearchSpace:
        kind = KINDS[self.kind]
        cell = cell_space(kind.input_nodes, nodes, kind.inputs_per_node, candidates, check_activations)
        return SearchSpace(self.kind, {CELL_TYPE: cell})

    def supernet(
        self, settings: Any, facts: Mapping[str, int], parts: Parts, cells: SearchSpace | None = None
    ) -> RnnSupernet:
        return RnnSupernet(
            cells or self.cells(settings.candidates, settings.nodes),
            vocabulary=facts["vocabulary"],
            units=settings.units,
            dropouts=Dropouts.of(settings),
            parts=parts,
            alpha_scale=settings.alphas.scale,
            bptt=settings.bptt,
            slowness=settings.slowness,
        )

    def network(self, genotype: Genotype, **sizes: Any) -> LanguageModel:
        return LanguageModel(genotype, **sizes)

    def operations(self) -> Sequence[str]:
        return activations()

    def published_sizes(self, genotype: Genotype) -> Mapping[str, tuple[int, int | None]]:
        with torch.device("meta"):
            network = self.network(genotype, vocabulary=VOCABULARY, units=UNITS)
        return {"ptb": (count_parameters(network), None)}
