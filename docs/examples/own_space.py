"""A search space of one's own: which functions follow each other in a small network without convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from darts_pl.genotype import Kind, register_kind
from darts_pl.ops import activation_function, activations, check_activations
from darts_pl.settings import at_least, between, setting
from darts_pl.spaces import (
    Drawing,
    Mixing,
    Outcome,
    Parts,
    SearchSettings,
    SearchSpace,
    Space,
    Supernet,
    cell_space,
    register_space,
)


@register_kind
def chain() -> Kind:
    """One cell of one input; every node reads one earlier node."""
    return Kind("chain", cell_types=("chain",), input_nodes=1, inputs_per_node=1)


@dataclass(frozen=True, kw_only=True)
class ChainSettings(SearchSettings):
    """A search for a chain of functions."""

    width: int = setting("features of every node", at_least(1))
    train_portion: float = setting(
        "fraction of the training images that trains the weights", between(0, 1, with_low=False, with_high=False)
    )


class ChainSupernet(Supernet):
    """Pixels, a linear layer, nodes that mix functions of all earlier nodes, a linear layer."""

    def __init__(self, space: SearchSpace, pixels: int, width: int, classes: int, parts: Parts, scale: float) -> None:
        super().__init__(space, parts.relaxation, alpha_scale=scale)
        self.first, self.last = nn.Linear(pixels, width), nn.Linear(width, classes)

    def forward(self, images: Tensor, mixing: Mapping[str, Mixing]) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W]."""
        cell, weights = self.space.cells["chain"], mixing["chain"].weights
        nodes = [self.first(images.flatten(1))]
        for target in cell.targets:
            received = [
                weight * activation_function(name)(nodes[cell.edges[edge][0]])
                for edge in cell.entering(target)
                for weight, name in zip(weights[edge], cell.candidates[edge], strict=True)
            ]
            nodes.append(torch.stack(received).sum(0))
        return self.last(nodes[-1])

    def loss(self, batch: tuple[Tensor, Tensor], mixing: Mapping[str, Mixing]) -> Outcome:
        logits = self(batch[0], mixing)
        return Outcome(nn.functional.cross_entropy(logits, batch[1]), logits)


@register_space
class ChainSpace(Space):
    """Chains of functions on images."""

    name = "chain"
    kind = "chain"
    data = "images"
    settings = ChainSettings
    adjective = "chain"
    builds = "a chain of functions"
    example = "none is published"
    drawing = Drawing(inputs=("x",), output="y", join="concat", titles={"chain": "chain"})

    def cells(self, candidates: Sequence[Any], nodes: int) -> SearchSpace:
        return SearchSpace(self.kind, {"chain": cell_space(1, nodes, 1, candidates, check_activations)})

    def supernet(
        self, settings: Any, facts: Mapping[str, int], parts: Parts, cells: SearchSpace | None = None
    ) -> ChainSupernet:
        pixels = facts["channels"] * facts["height"] * facts["width"]
        cells = cells or self.cells(settings.candidates, settings.nodes)
        return ChainSupernet(cells, pixels, settings.width, facts["classes"], parts, settings.alphas.scale)

    def operations(self) -> Sequence[str]:
        return activations()
