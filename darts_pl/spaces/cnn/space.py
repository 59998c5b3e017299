"""The search space of convolutional cells."""

from __future__ import annotations

from collections.abc import Sequence

from darts_pl.genotype import KINDS
from darts_pl.ops import check_candidates
from darts_pl.spaces.cnn.settings import CnnSearchSettings
from darts_pl.spaces.space import SearchSpace, search_space, uniform_cell


@search_space("cnn", data="images", settings=CnnSearchSettings)
def cnn(candidates: Sequence[str], nodes: int = 4) -> SearchSpace:
    """Normal and reduction cells with two inputs and two kept inputs per node (paper section 2.1)."""
    check_candidates(candidates)
    kind = KINDS["cnn"]
    cell = uniform_cell(kind.input_nodes, nodes, kind.inputs_per_node, candidates)
    return SearchSpace("cnn", dict.fromkeys(kind.cell_types, cell))
