"""The data: pairs, cells, genotypes, and what makes them possible."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from darts_pl.errors import UserError
from darts_pl.genotype.kinds import KINDS, NONE, Kind


class Pair(NamedTuple):
    """One kept edge: `operation` applied to the output of node `source`."""

    operation: str
    source: int


@dataclass(frozen=True)
class CellGenotype:
    """One cell type.

    Args:
        nodes: for every intermediate node, in order, the pairs that are summed into it. A source
            counts all nodes of the cell: the input nodes first, then the intermediate ones.
        concat: the nodes whose outputs form the cell's output.
    """

    nodes: tuple[tuple[Pair, ...], ...]
    concat: tuple[int, ...]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs, node by node, as the literature prints them."""
        return tuple(pair for node in self.nodes for pair in node)


@dataclass(frozen=True)
class Genotype:
    """A derived architecture: `kind`, a name in `KINDS`, and one `CellGenotype` per cell type.

    Raises:
        UserError: if a cell type is missing or unknown, a source or a concatenated node does not exist at that
            point of the cell, or a node is neither read nor concatenated.
    """

    kind: str
    cells: Mapping[str, CellGenotype]

    def __post_init__(self) -> None:
        kind = find_kind(self.kind)
        if set(self.cells) != set(kind.cell_types):
            raise UserError(
                f"genotype of kind {self.kind!r} has cells {sorted(self.cells)}; expected {sorted(kind.cell_types)}"
            )
        object.__setattr__(self, "cells", MappingProxyType({name: self.cells[name] for name in kind.cell_types}))
        for name, cell in self.cells.items():
            _check_sources(name, cell, kind)
            _check_output(name, cell, kind)

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.cells.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        return Genotype, (self.kind, dict(self.cells))

    def __str__(self) -> str:
        kind = KINDS.get(self.kind)
        if kind.text is not None:
            return kind.text(self)
        fields = [f"kind={kind.name!r}"] if kind.named else []
        for name, value in self._fields(kind).items():
            pairs = name in self.cells
            fields.append(f"{name}={[tuple(pair) for pair in value] if pairs else value}")
        return f"Genotype({', '.join(fields)})"

    def _fields(self, kind: Kind) -> dict[str, list[Any]]:
        """Names and values of the text and JSON forms; the inputs per node only where they are not the usual ones."""
        fields: dict[str, list[Any]] = {}
        for name, cell in self.cells.items():
            fields[name] = [list(pair) for pair in cell.pairs]
            if (concat := kind.concat_field(name)) is not None:
                fields[concat] = list(cell.concat)
            sizes = [len(node) for node in cell.nodes]
            if sizes != [kind.usual_inputs(index) for index in range(len(sizes))]:
                fields[f"{name}_inputs"] = sizes
        return fields

    def to_json(self) -> str:
        """The JSON text that `parse` reads back to an equal genotype, one line per field."""
        fields = {"kind": self.kind, **self._fields(KINDS.get(self.kind))}
        lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @property
    def has_unusual_none(self) -> bool:
        """Whether an operation is "none" although genotypes of this kind have no such operations."""
        return not KINDS.get(self.kind).none and any(
            pair.operation == NONE for cell in self.cells.values() for pair in cell.pairs
        )

    def check_operations(self, known: Collection[str]) -> None:
        """Raise UserError if an operation is not among `known`, naming it and its cell.

        "none" is known exactly where the kind allows it, and in the genotypes that `allow_none` names.
        """
        none = KINDS.get(self.kind).none or self in _WITH_NONE
        for name, cell in self.cells.items():
            for pair in cell.pairs:
                if pair.operation == NONE and not none:
                    raise UserError(_why_not_none(self.kind, name, cell))
                if pair.operation not in known and pair.operation != NONE:
                    raise UserError(
                        f"genotype: unknown operation {pair.operation!r} in the {name} cell\n"
                        f"known: {', '.join(sorted(known))}\n"
                        "your own: name the module that registers it in imports=[...]"
                    )


#: See `allow_none`.
_WITH_NONE: set[Genotype] = set()


def allow_none(genotype: Genotype) -> None:
    """Let this genotype hold "none" although its kind has no such operations, as a published cell may."""
    _WITH_NONE.add(genotype)


def show(value: object, limit: int = 60) -> str:
    """A value for a message: on one line, shortened, without the address that some objects print."""
    try:
        text = " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)).split())
    except (ValueError, RecursionError):  # an integer of thousands of digits, a deeply nested list
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def show_names(names: Collection[str], most: int = 12) -> str:
    """Names for a message, the first `most` of them."""
    shown = [name if name.isidentifier() and len(name) <= 60 else show(name, 30) for name in list(names)[:most]]
    return (", ".join(shown) or "nothing") + (", ..." if len(names) > most else "")


def find_kind(name: object) -> Kind:
    """The kind called `name`.

    Raises:
        UserError: if there is none.
    """
    if isinstance(name, str) and name in KINDS:
        return KINDS.get(name)
    if isinstance(name, str) and len(name) <= 60:
        raise UserError(KINDS.unknown(name))
    raise UserError(f"unknown {KINDS.what} {show(name)}; known: {', '.join(KINDS)}")


def _check_sources(name: str, cell: CellGenotype, kind: Kind) -> None:
    if not cell.nodes:
        raise UserError(f"genotype: the {name} cell has no nodes")
    for target, node in enumerate(cell.nodes, start=kind.input_nodes):
        for pair in node:
            if not 0 <= pair.source < target:
                raise UserError(
                    f"genotype: node {target} of the {name} cell reads node {show(pair.source)}; "
                    f"it can read nodes 0 to {target - 1}"
                )
            read = pair.source - kind.input_nodes
            if kind.missing_nodes and read >= 0 and not cell.nodes[read]:
                raise UserError(
                    f"genotype: node {target} of the {name} cell reads node {pair.source}, which is missing"
                )
        if kind.inputs_per_node is None and sorted(pair.source for pair in node) != list(range(target)):
            sources = [pair.source for pair in node]
            raise UserError(
                f"genotype: node {target} of the {name} cell reads nodes {show(sources)}; "
                f"in a genotype of kind {kind.name!r} it reads each of nodes 0 to {target - 1} once"
            )


def _check_output(name: str, cell: CellGenotype, kind: Kind) -> None:
    last = kind.input_nodes + len(cell.nodes) - 1
    if not cell.concat or len(set(cell.concat)) != len(cell.concat):
        raise UserError(
            f"genotype: the {name} cell concatenates {show(list(cell.concat))}; name one or more different nodes"
        )
    for node in cell.concat:
        if not kind.input_nodes <= node <= last:
            raise UserError(
                f"genotype: the {name} cell concatenates node {show(node)}; "
                f"its intermediate nodes are {kind.input_nodes} to {last}"
            )
        if kind.missing_nodes and not cell.nodes[node - kind.input_nodes]:
            raise UserError(f"genotype: the {name} cell concatenates node {node}, which is missing")
    if kind.concat is None and cell.concat != (last,):
        raise UserError(f"genotype: the output of the {name} cell is node {last}, not {show(list(cell.concat))}")
    used = {pair.source for pair in cell.pairs} | set(cell.concat)
    usual = all(len(pairs) == kind.usual_inputs(index) for index, pairs in enumerate(cell.nodes))
    remedy = other_width(name, len(cell.pairs), cell.concat, kind) if usual else "leave it out or concatenate it"
    for target, pairs in enumerate(cell.nodes, start=kind.input_nodes):
        if target not in used and (pairs or not kind.missing_nodes):
            raise UserError(f"genotype: node {target} of the {name} cell is neither read nor concatenated; {remedy}")


def other_width(name: str, pairs: int, concat: Collection[int], kind: Kind) -> str:
    """How nodes that do not have the usual number of pairs are written; the end of a message.

    Args:
        name: the cell type.
        pairs: how many the cell has.
        concat: the concatenated nodes, whose last one tells how many nodes there may be.
        kind: of the genotype.
    """
    nodes = max(concat, default=0) - kind.input_nodes + 1
    if 0 < nodes <= 12 and pairs % nodes == 0 and pairs // nodes != kind.inputs_per_node:
        return f"{nodes} nodes with {pairs // nodes} inputs each are written {name}_inputs={[pairs // nodes] * nodes}"
    return f"nodes with 2, 3 and 1 inputs are written {name}_inputs=[2, 3, 1]"


def _why_not_none(kind: str, name: str, cell: CellGenotype) -> str:
    sizes = [sum(pair.operation != NONE for pair in node) for node in cell.nodes]
    reason = f"genotype: {NONE!r} in the {name} cell passes nothing on, and kind {kind!r} does not allow it; "
    if 0 in sizes:
        return f"{reason}node {sizes.index(0) + KINDS.get(kind).input_nodes} would read nothing without it"
    return f"{reason}leave these pairs out and add {name}_inputs={show(sizes)}"
