"""The recurrent search space as one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, Genotype
from darts_pl.ops import activations, check_activations
from darts_pl.spaces.base import Drawing, Parts, Space, register_space
from darts_pl.spaces.rnn.language_model import LanguageModel
from darts_pl.spaces.rnn.sequence import Dropouts
from darts_pl.spaces.rnn.settings import RnnSearchSettings
from darts_pl.spaces.rnn.supernet import CELL_TYPE, RnnSupernet
from darts_pl.spaces.sizes import count_parameters
from darts_pl.spaces.space import SearchSpace, cell_space

#: H and V of the language model of the paper, section A.2.2.
UNITS, VOCABULARY = 850, 10_000


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
    training = "language_model"
    recipe = "darts_rnn"
    drawing = Drawing(
        inputs=("x_t", "h_{t-1}"),
        output="h_t",
        join="mean",
        titles={CELL_TYPE: "recurrent cell"},
        first_node=True,
    )

    def cells(self, candidates: Sequence[Any], nodes: int) -> SearchSpace:
        kind = KINDS.get(self.kind)
        cell = cell_space(kind.input_nodes, nodes, kind.inputs_per_node, candidates, check_activations)
        return SearchSpace(self.kind, {CELL_TYPE: cell})

    def supernet(
        self, settings: Any, facts: Mapping[str, int], parts: Parts, cells: SearchSpace | None = None
    ) -> RnnSupernet:
        if parts.edges.on_maps:
            raise UserError(
                f"search=rnn: the nodes of a recurrent cell are vectors without channels, which "
                f"{type(parts.edges).__name__} needs; add edges=plain"
            )
        if parts.skip.on_maps:
            raise UserError(
                f"search=rnn: an edge of a recurrent cell passes its input on by its gate already, and "
                f"{type(parts.skip).__name__} needs edges of feature maps; add skip=plain"
            )
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

    def network_sizes(self, train: Any, facts: Mapping[str, int]) -> Mapping[str, Any]:
        return {"vocabulary": facts["vocabulary"], "units": train.units, "dropouts": Dropouts.of(train)}

    def operations(self) -> Sequence[str]:
        return activations()

    def published_sizes(self, genotype: Genotype) -> Mapping[str, tuple[int, int | None]]:
        with torch.device("meta"):
            network = self.network(genotype, vocabulary=VOCABULARY, units=UNITS)
        return {"ptb": (count_parameters(network), None)}
