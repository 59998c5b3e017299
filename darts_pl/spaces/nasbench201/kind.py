"""The kind of genotypes of this space: every node reads all earlier ones, and the text is the benchmark's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Kind, Pair, register_kind
from darts_pl.spaces.nasbench201.cell import OPERATIONS, Cell, cell_of_pairs, edges, parse_text, to_text

KIND = "nasbench201"

#: A benchmark's text, also inside a log line or a printed object.
_FORM = re.compile(r"\|(?:\w+~\d+\|)+(?:\+\|(?:\w+~\d+\|)+)*")
#: What is meant as one, so that a fault in it is reported.
_MEANT = re.compile(r"""[\s'"]*\|[\w~|+\s.-]*~[\w~|+\s.-]*['"\s]*""")

CELL_TYPE = "cell"


def genotype_of(cell: Sequence[int]) -> Genotype:
    """The genotype of a cell.

    Args:
        cell: for every edge the index of its operation in `OPERATIONS`, of a cell with any number of nodes.
    """
    nodes: list[tuple[Pair, ...]] = []
    start = 0
    while start < len(cell):
        width = len(nodes) + 1
        operations = cell[start : start + width]
        nodes.append(tuple(Pair(OPERATIONS[index], source) for source, index in enumerate(operations)))
        start += width
    return Genotype(KIND, {CELL_TYPE: CellGenotype(tuple(nodes), concat=(len(nodes),))})


def cell_of(genotype: Genotype) -> Cell:
    """For every edge the index of its operation.

    Raises:
        UserError: if the genotype is of another kind, an operation is unknown, or a node does not read every
            earlier node once.
    """
    if genotype.kind != KIND:
        raise UserError(
            f"a genotype of kind {genotype.kind!r} is no cell of NAS-Bench-201; give its text or its number, such as "
            "genotype=6111"
        )
    nodes = genotype.cells[CELL_TYPE].nodes
    cell = cell_of_pairs(nodes)
    given = sum(map(len, nodes))
    if given != len(edges(len(nodes) + 1)):
        raise UserError(
            f"genotype: {given} pairs in a cell of {len(nodes) + 1} nodes; each node reads every earlier one"
        )
    return cell


def read_text(text: str) -> Genotype | None:
    """The genotype of a benchmark's text, in quotes or inside a log line (the last one counts); None for a text of
    another form."""
    if _MEANT.fullmatch(text):
        return genotype_of(parse_text(text, nodes=None))
    found = _FORM.findall(text)
    return genotype_of(parse_text(found[-1], nodes=None)) if found else None


def write_text(genotype: Genotype) -> str:
    """The benchmark's text of a genotype of this kind."""
    return to_text(cell_of(genotype))


@register_kind
def nasbench201() -> Kind:
    """One cell whose output is its last node (Dong and Yang, ICLR 2020, section 2.1)."""
    return Kind(
        KIND,
        cell_types=(CELL_TYPE,),
        input_nodes=1,
        inputs_per_node=None,
        concat=None,
        none=True,
        parse_text=read_text,
        text=write_text,
    )
