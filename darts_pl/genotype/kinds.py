"""What all genotypes of one search space share, and the registry of these kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darts_pl.registry import Registry

if TYPE_CHECKING:
    from darts_pl.genotype.cells import Genotype

#: The operation that passes nothing on.
NONE = "none"


@dataclass(frozen=True)
class Kind:
    """What all genotypes of one kind of network share.

    Args:
        name: as in `Genotype.kind` and in the JSON form.
        cell_types: names of the cells.
        input_nodes: number of nodes that a cell gets from outside.
        inputs_per_node: how many pairs a node usually has; None = one from every earlier node.
        concat: name of the field with the concatenated nodes, with ``{cell}`` for the cell type; None = the
            output is the last node, which is then not written.
        none: whether an operation may be "none".
        parse_text: reads the text form that only this kind has; it returns None for every other text.
        text: writes that form; None = ``Genotype(...)``.
    """

    name: str
    cell_types: tuple[str, ...]
    input_nodes: int
    inputs_per_node: int | None
    concat: str | None = "{cell}_concat"
    none: bool = False
    parse_text: Callable[[str], Genotype | None] | None = None
    text: Callable[[Genotype], str] | None = None

    def usual_inputs(self, index: int) -> int:
        """How many pairs the intermediate node `index` (0, 1, ...) usually has."""
        return self.input_nodes + index if self.inputs_per_node is None else self.inputs_per_node


#: Convolutional cells read the outputs of two cells; a recurrent cell starts from one node
#: computed from input and hidden state (paper section 2.1 and appendix A.1.2).
KINDS: Registry[Kind] = Registry("genotype kind")
KINDS.add("cnn", Kind("cnn", cell_types=("normal", "reduce"), input_nodes=2, inputs_per_node=2))
KINDS.add("rnn", Kind("rnn", cell_types=("recurrent",), input_nodes=1, inputs_per_node=1, concat="concat"))


def register_kind(build: Callable[[], Kind]) -> Callable[[], Kind]:
    """Decorator that registers the kind which a function returns, under the kind's name."""
    kind = build()
    KINDS.add(kind.name, kind, origin=build)
    return build
