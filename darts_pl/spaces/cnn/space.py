"""The convolutional search space as one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from darts_pl.genotype import KINDS, Genotype
from darts_pl.ops import check_candidates, names
from darts_pl.spaces.base import Drawing, Parts, Space, register_space
from darts_pl.spaces.cnn.auxiliary import tower_fits
from darts_pl.spaces.cnn.classifier import Classifier, FinalCell
from darts_pl.spaces.cnn.plan import reductions
from darts_pl.spaces.cnn.published import PAPER_NETWORKS, size_of
from darts_pl.spaces.cnn.settings import CnnSearchSettings
from darts_pl.spaces.cnn.supernet import CnnSupernet
from darts_pl.spaces.computed import ComputedPair
from darts_pl.spaces.space import SearchSpace, cell_space


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
    training = "classifier"
    recipe = "darts"
    drawing = Drawing(
        inputs=("c_{k-2}", "c_{k-1}"),
        output="c_{k}",
        join="concat",
        titles={"normal": "normal cell", "reduce": "reduction cell"},
    )

    def cells(self, candidates: Sequence[Any], nodes: int) -> SearchSpace:
        kind = KINDS.get(self.kind)
        types, lists = kind.cell_types, [one for one in candidates if not isinstance(one, str)]
        edges = sum(kind.input_nodes + index for index in range(nodes))
        parts = [candidates] * len(types)
        if (
            len(lists) == len(candidates) == len(types) * edges
        ):  # the edges of the normal cell, then of the reduction cell
            parts = [candidates[start : start + edges] for start in range(0, len(candidates), edges)]
        cells = [cell_space(kind.input_nodes, nodes, kind.inputs_per_node, one, check_candidates) for one in parts]
        return SearchSpace(self.kind, dict(zip(types, cells, strict=True)))

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
            pool_norm=settings.pool_norm,
            last_norm=settings.last_norm,
            reductions=settings.reductions,
            extra_skip=settings.extra_skip,
            parts=parts,
            alpha_scale=settings.alphas.scale,
            recompute=settings.recompute,
        )

    def network(self, genotype: Genotype, **sizes: Any) -> Classifier:
        return Classifier(genotype, **sizes)

    def network_sizes(self, train: Any, facts: Mapping[str, int]) -> Mapping[str, Any]:
        side = min(facts["height"], facts["width"])
        return {
            "init_channels": train.init_channels,
            "layers": train.layers,
            "classes": facts["classes"],
            "in_channels": facts["channels"],
            "auxiliary": train.auxiliary_weight > 0 and tower_fits(train.layers, train.stem, side, train.reductions),
            "stem": train.stem,
            "reductions": train.reductions,
            "extra_skip": train.extra_skip,
        }

    def computed_pairs(self, genotype: Genotype, network: nn.Module) -> Iterator[ComputedPair]:
        assert isinstance(network, Classifier)
        for layer, cell in enumerate(network.cells):
            assert isinstance(cell, FinalCell)
            reduction = layer in reductions(len(network.cells))
            cell_type, modules = "reduce" if reduction else "normal", iter(cell.operations)
            for target, pairs in enumerate(genotype.cells[cell_type].nodes, start=2):
                for pair in pairs:
                    stride = 2 if reduction and pair.source < 2 else 1
                    yield ComputedPair(cell_type, target, pair, stride, next(modules))

    def operations(self) -> Sequence[str]:
        return names()

    def published_sizes(self, genotype: Genotype) -> Mapping[str, tuple[int, int | None]]:
        return {name: size_of(genotype, name) for name in PAPER_NETWORKS}
