"""What all genotypes of one search space share, and the registry of these kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darts_pl.registry import Registry

if TYPE_CHECKING:
    from darts_pl.genotype.cells import Genotype

#: The operation that passes nothing on.
NONE = "none"


@dataclass(frozen=True)
class Kind:
    """What all genotypes of one kind of network share.

    Args:
        name: as in ``Genotype.kind`` and in the JSON form.
        cell_types: names of the cells, and of the fields with their pairs.
        input_nodes: number of nodes that a cell gets from outside; they are numbered first.
        inputs_per_node: how many pairs a node usually has; None if every node keeps one pair from every
            earlier node, as in NAS-Bench-201.
        concat: name of the field with the concatenated nodes, with ``{cell}`` for the cell type; None if the
            output of a cell is its last node, which is then not written.
        none: whether an operation may be "none".
        missing_nodes: whether a node without pairs is left out of the cell; it is then neither read nor
            concatenated (FairDARTS).
        triples: the meaning of the two numbers of an ``(operation, number, number)`` triple, ("node", "source")
            or ("source", "node"); None refuses them, because projects disagree about the order.
        parse_text: reads the text form that only this kind has, and returns its fields or the genotype; it
            returns None for every text that is not of this form.
        text: writes a genotype in that form; None writes ``Genotype(...)``.
        named: whether a text of this kind says ``kind=...``, since its cells alone do not tell it from another kind.
    """

    name: str
    cell_types: tuple[str, ...]
    input_nodes: int
    inputs_per_node: int | None
    concat: str | None = "{cell}_concat"
    none: bool = False
    missing_nodes: bool = False
    triples: tuple[str, str] | None = None
    parse_text: Callable[[str], Mapping[str, Any] | Genotype | None] | None = None
    text: Callable[[Genotype], str] | None = None
    named: bool = False

    def usual_inputs(self, index: int) -> int:
        """How many pairs the intermediate node `index` (0, 1, ...) has where the genotype does not say."""
        return self.input_nodes + index if self.inputs_per_node is None else self.inputs_per_node

    def concat_field(self, cell_type: str) -> str | None:
        """Name of the field with the concatenated nodes of `cell_type`."""
        return None if self.concat is None else self.concat.format(cell=cell_type)


#: All kinds by name. A user's module adds one with `register_kind`.
KINDS: Registry[Kind] = Registry("genotype kind")


def register_kind(build: Callable[[], Kind]) -> Callable[[], Kind]:
    """Decorator that registers the kind which a function returns, under the kind's name.

    Raises:
        UserError: if another function has registered a kind of that name.
    """
    kind = build()
    KINDS.add(kind.name, kind, origin=build)
    return build
