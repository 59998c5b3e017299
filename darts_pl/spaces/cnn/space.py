"""The convolutional search space as one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darts_pl.genotype import KINDS, Genotype
from darts_pl.ops import check_candidates, names
from darts_pl.settings import Range, between, one_of, setting
from darts_pl.spaces.base import Drawing, Parts, SearchSettings, Space, register_space
from darts_pl.spaces.cnn.classifier import Classifier
from darts_pl.spaces.cnn.published import PAPER_NETWORKS, size_of
from darts_pl.spaces.cnn.supernet import CnnSupernet
from darts_pl.spaces.space import SearchSpace, cell_space


@dataclass(frozen=True, kw_only=True)
class CnnSearchSettings(SearchSettings):
    """A convolutional search."""

    layers: int = setting(
        "cells of the search network",
        Range(lambda value: value >= 3, "at least 3: fewer layers leave no normal cell", (2, 0)),
    )
    init_channels: int = setting(
        "channels of the first cells",
        Range(
            lambda value: value >= 2,
            "at least 2: a map is halved by two convolutions, each with half of the channels",
            (1,),
        ),
    )
    stem: str = setting(
        "what precedes the cells: cifar for small images, imagenet for photos", one_of("cifar", "imagenet")
    )
    train_portion: float = setting(
        "fraction of the training images that trains the weights; the others train the architecture parameters",
        between(0, 1, with_low=False, with_high=False),
    )


@register_space
class CnnSpace(Space):
    """Normal and reduction cells with two inputs and two kept inputs per node (paper section 2.1)."""

    name = "cnn"
    kind = "cnn"
    data = "images"
    settings = CnnSearchSettings
    skip = "skip_connect"
    adjective = "convolutional"
    builds = "an image classifier"
    example = "darts_v2"
    drawing = Drawing(
        inputs=("c_{k-2}", "c_{k-1}"),
        output="c_{k}",
        join="concat",
        titles={"normal": "normal cell", "reduce": "reduction cell"},
    )

    def cells(self, candidates: Sequence[Any], nodes: int) -> SearchSpace:
        kind = KINDS[self.kind]
        cell = cell_space(kind.input_nodes, nodes, kind.inputs_per_node, candidates, check_candidates)
        return SearchSpace(self.kind, dict.fromkeys(kind.cell_types, cell))

    def supernet(
        self, settings: Any, facts: Mapping[str, int], parts: Parts, cells: SearchSpace | None = None
    ) -> CnnSupernet:
        return CnnSupernet(
            cells or self.cells(settings.candidates, settings.nodes),
            init_channels=settings.init_channels,
            layers=settings.layers,
            classes=facts["classes"],
            in_channels=facts["channels"],
            stem=settings.stem,
            parts=parts,
            alpha_scale=settings.alphas.scale,
        )

    def network(self, genotype: Genotype, **sizes: Any) -> Classifier:
        return Classifier(genotype, **sizes)

    def operations(self) -> Sequence[str]:
        return names()

    def published_sizes(self, genotype: Genotype) -> Mapping[str, tuple[int, int | None]]:
        return {name: size_of(genotype, name) for name in PAPER_NETWORKS}
