"""The NAS-Bench-201 search space as one object."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Pair
from darts_pl.ops import check_candidates
from darts_pl.spaces.base import Drawing, Parts, Space, register_space
from darts_pl.spaces.computed import ComputedPair
from darts_pl.spaces.nasbench201.answers import NasBench201Answers
from darts_pl.spaces.nasbench201.cell import OPERATIONS
from darts_pl.spaces.nasbench201.kind import CELL_TYPE, KIND, cell_of
from darts_pl.spaces.nasbench201.network import FinalCell, NasBench201Network
from darts_pl.spaces.nasbench201.settings import NasBench201SearchSettings
from darts_pl.spaces.nasbench201.supernet import NasBench201Supernet
from darts_pl.spaces.sizes import count_multiply_adds, count_parameters
from darts_pl.spaces.space import SearchSpace, cell_space


@register_space
class NasBench201Space(Space):
    """Cells with one operation on every edge, "none" among them (Dong and Yang, ICLR 2020, section 2.1)."""

    name = "nasbench201"
    kind = KIND
    data = "images"
    settings = NasBench201SearchSettings
    skip = "skip_connect"
    adjective = "NAS-Bench-201"
    builds = "an image classifier"
    example = "6111"
    training = "nasbench201"
    recipe = "nasbench201"
    table = NasBench201Answers()
    drawing = Drawing(
        inputs=("c_{k-1}",),
        output="c_{k}",
        join="last",
        titles={CELL_TYPE: "cell"},
        first_node=True,
        enters="",
    )

    def cells(self, candidates: Sequence[Any], nodes: int) -> SearchSpace:
        return SearchSpace(self.kind, {CELL_TYPE: cell_space(1, nodes, None, candidates, check)})

    def supernet(
        self, settings: Any, facts: Mapping[str, int], parts: Parts, cells: SearchSpace | None = None
    ) -> NasBench201Supernet:
        return NasBench201Supernet(
            cells or self.cells(settings.candidates, settings.nodes),
            channels=settings.init_channels,
            cells=settings.cells,
            classes=facts["classes"],
            in_channels=facts["channels"],
            track_statistics=settings.track_statistics,
            parts=parts,
            alpha_scale=settings.alphas.scale,
        )

    def network(self, genotype: Genotype, **sizes: Any) -> NasBench201Network:
        cell = cell_of(genotype)
        return NasBench201Network(cell, nodes=len(genotype.cells[CELL_TYPE].nodes) + 1, **sizes)

    def network_sizes(self, train: Any, facts: Mapping[str, int]) -> Mapping[str, Any]:
        return {
            "channels": train.init_channels,
            "cells": train.cells,
            "classes": facts["classes"],
            "in_channels": facts["channels"],
        }

    def sizes_of(self, tensors: Mapping[str, torch.Tensor]) -> Mapping[str, Any]:
        stem, head = tensors.get("stem.0.weight"), tensors.get("classifier.weight")
        found = (re.match(r"cells\.(\d{1,6})\.downsample\.", name) for name in tensors)
        # A cell may have no tensor: the numbers of the two residual blocks tell how long a stage is.
        blocks = sorted({int(one.group(1)) for one in found if one})
        if stem is None or head is None or stem.dim() != 4 or head.dim() != 2 or len(blocks) != 2:
            raise UserError("checkpoint: it is no network of NAS-Bench-201")
        if blocks[1] != 2 * blocks[0] + 1 or blocks[0] < 1:
            raise UserError(f"checkpoint: residual blocks at {blocks[0]} and {blocks[1]} are not those of equal stages")
        channels, in_channels = stem.shape[:2]
        return {"channels": channels, "cells": blocks[0], "classes": head.shape[0], "in_channels": in_channels}

    def computed_pairs(self, genotype: Genotype, network: nn.Module) -> Iterator[ComputedPair]:
        assert isinstance(network, NasBench201Network)
        for cell in network.cells:
            if isinstance(cell, FinalCell):
                for target, entering in cell.entering.items():
                    for number, source in entering:
                        pair = next(one for one in genotype.cells[CELL_TYPE].nodes[target - 1] if one.source == source)
                        yield ComputedPair(CELL_TYPE, target, pair, 1, cell.layers[str(number)])

    def operations(self) -> Sequence[str]:
        return OPERATIONS

    def draw(self, cells: SearchSpace, generator: random.Random) -> Genotype:
        """A genotype with an operation on every edge, drawn uniformly from all its candidates, "none" included."""
        cell = cells.cells[CELL_TYPE]
        nodes = [
            tuple(Pair(generator.choice(cell.candidates[edge]), cell.edges[edge][0]) for edge in cell.entering(target))
            for target in cell.targets
        ]
        return Genotype(self.kind, {CELL_TYPE: CellGenotype(tuple(nodes), concat=(cell.targets[-1],))})

    def published_sizes(self, genotype: Genotype) -> Mapping[str, tuple[int, int | None]]:
        with torch.device("meta"):
            network = self.network(genotype, channels=16, cells=5, classes=10)
        # The benchmark counts the additions of the linear layer's bias as well.
        return {self.name: (count_parameters(network), count_multiply_adds(network, 3, 32, 32) + 10)}


def check(candidates: Sequence[str]) -> None:
    """Raise UserError unless these are different operations of the benchmark, and not all of them "none"."""
    for name in candidates:
        if name not in OPERATIONS:
            raise UserError(
                f"search.candidates: {name!r} is no operation of NAS-Bench-201; known: {', '.join(OPERATIONS)}"
            )
    check_candidates(candidates)
