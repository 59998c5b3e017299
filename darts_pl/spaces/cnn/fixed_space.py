"""The convolutional search space whose reduction cells are fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from darts_pl.genotype import KINDS
from darts_pl.ops import check_candidates
from darts_pl.spaces.base import Drawing, Space, register_space
from darts_pl.spaces.cnn.settings import CnnSearchSettings
from darts_pl.spaces.cnn.space import CnnSpace
from darts_pl.spaces.space import SearchSpace, cell_space


@register_space
class FixedReductionSpace(CnnSpace):
    """Normal cells alone are searched; reduction cells are those of GDAS (Dong and Yang, CVPR 2019, FRC)."""

    name = "cnn_fixed_reduction"
    kind = "cnn_fixed_reduction"
    settings = CnnSearchSettings
    example = "gdas_f1"
    drawing = Drawing(
        inputs=CnnSpace.drawing.inputs, output=CnnSpace.drawing.output, join="concat", titles={"normal": "normal cell"}
    )
    # Operations of a fixed cell are none of the genotype: nothing would say how long they take.
    computed_pairs = Space.computed_pairs

    def cells(self, candidates: Sequence[Any], nodes: int) -> SearchSpace:
        kind = KINDS.get(self.kind)
        cell = cell_space(kind.input_nodes, nodes, kind.inputs_per_node, candidates, check_candidates)
        return SearchSpace(self.kind, dict.fromkeys(kind.cell_types, cell))
