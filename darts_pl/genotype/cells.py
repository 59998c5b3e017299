"""The data: pairs, cells, genotypes, and their texts.

A genotype is plain data. It is read from and written to JSON, and read from the text form that
the literature prints: ``Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[...], ...)``.
"""

from __future__ import annotations

import ast
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
    """A derived architecture: `kind` ("cnn" or "rnn") and one `CellGenotype` per cell type.

    Raises:
        UserError: if a cell type is missing or unknown, or a source or a concatenated node does
            not exist at that point of the cell.
    """

    kind: str
    cells: Mapping[str, CellGenotype]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"genotype: unknown kind {self.kind!r}; known: {', '.join(KINDS)}")
        expected = KINDS.get(self.kind).cell_types
        if set(self.cells) != set(expected):
            raise UserError(
                f"genotype of kind {self.kind!r} has cells {sorted(self.cells)}; expected {sorted(expected)}"
            )
        object.__setattr__(self, "cells", MappingProxyType({name: self.cells[name] for name in expected}))
        for name, cell in self.cells.items():
            _check_cell(name, cell, KINDS.get(self.kind).input_nodes)

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.cells.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        return Genotype, (self.kind, dict(self.cells))

    def __str__(self) -> str:
        kind = KINDS.get(self.kind)
        if kind.text is not None:
            return kind.text(self)
        fields = []
        for name, cell in self.cells.items():
            fields.append(f"{name}={[tuple(pair) for pair in cell.pairs]}")
            if kind.concat is not None:
                fields.append(f"{kind.concat.format(cell=name)}={list(cell.concat)}")
        return f"Genotype({', '.join(fields)})"

    def check_operations(self, known: Collection[str]) -> None:
        """Raise UserError if an operation is not among `known`, naming it and its cell."""
        for name, cell in self.cells.items():
            for pair in cell.pairs:
                if pair.operation not in known and not (pair.operation == NONE and KINDS.get(self.kind).none):
                    raise UserError(
                        f"genotype: unknown operation {pair.operation!r} in the {name} cell\n"
                        f"known: {', '.join(sorted(known))}\n"
                        "your own: name the module that registers it in imports=[...]"
                    )

    def to_json(self) -> str:
        """The JSON text that `parse` reads back to an equal genotype."""
        flat: dict[str, Any] = {"kind": self.kind}
        kind = KINDS.get(self.kind)
        for name, cell in self.cells.items():
            flat[name] = [list(pair) for pair in cell.pairs]
            if kind.concat is not None:
                flat[kind.concat.format(cell=name)] = list(cell.concat)
            sizes = [len(node) for node in cell.nodes]
            if sizes != [kind.usual_inputs(index) for index in range(len(sizes))]:
                flat[f"{name}_inputs"] = sizes
        return json.dumps(flat, indent=2) + "\n"


def _check_cell(name: str, cell: CellGenotype, input_nodes: int) -> None:
    if not cell.nodes:
        raise UserError(f"genotype: the {name} cell has no nodes")
    for index, node in enumerate(cell.nodes):
        available = input_nodes + index
        for pair in node:
            if not 0 <= pair.source < available:
                raise UserError(
                    f"genotype: node {available} of the {name} cell reads node {pair.source}; "
                    f"it can read nodes 0 to {available - 1}"
                )
    last = input_nodes + len(cell.nodes) - 1
    if not cell.concat or len(set(cell.concat)) != len(cell.concat):
        raise UserError(f"genotype: the {name} cell concatenates {list(cell.concat)}; name one or more different nodes")
    for node_index in cell.concat:
        if not input_nodes <= node_index <= last:
            raise UserError(
                f"genotype: the {name} cell concatenates node {node_index}; "
                f"its intermediate nodes are {input_nodes} to {last}"
            )


def from_pairs(kind: str, cells: Mapping[str, tuple[Any, Any]], inputs: Mapping[str, Any] | None = None) -> Genotype:
    """A genotype from flat lists, as the literature prints them.

    Args:
        kind: "cnn" or "rnn".
        cells: per cell type ``([(operation, source), ...], [concatenated nodes])``.
        inputs: per cell type the number of pairs of each node, where it is not the usual one
            (2 for "cnn", 1 for "rnn").

    Raises:
        UserError: if a value has the wrong form.
    """
    built = {}
    for name, (pairs, concat) in cells.items():
        flat = _pairs(name, pairs)
        found = KINDS.get(kind) if kind in KINDS else None
        written = found is None or found.concat is not None
        listed = isinstance(concat, (list, tuple, range)) and all(_is_index(node) for node in concat)
        if written and not listed:
            raise UserError(f"genotype: the concatenated nodes of {name} must be a list of numbers, not {concat!r}")
        sizes = (inputs or {}).get(name)
        if sizes is None:
            sizes = _usual_sizes(name, len(flat), found)
        numbers = isinstance(sizes, list) and all(_is_index(size) and size >= 0 for size in sizes)
        if not numbers or sum(sizes) != len(flat):
            raise UserError(f"genotype: {name}_inputs={sizes!r} does not add up to {len(flat)} pairs")
        nodes, start = [], 0
        for size in sizes:
            nodes.append(tuple(flat[start : start + size]))
            start += size
        output = concat if written or found is None else [found.input_nodes + len(nodes) - 1]
        built[name] = CellGenotype(nodes=tuple(nodes), concat=tuple(output))
    return Genotype(kind=kind, cells=built)


def _usual_sizes(name: str, pairs: int, kind: Kind | None) -> list[int]:
    """How many pairs each node has, where the genotype does not say."""
    sizes: list[int] = []
    while sum(sizes) < pairs:
        sizes.append(1 if kind is None else kind.usual_inputs(len(sizes)))
    if sum(sizes) != pairs:
        usual = kind.inputs_per_node if kind is not None and kind.inputs_per_node else "one from each earlier node"
        raise UserError(f"genotype: {name} has {pairs} pairs; expected {usual} for every node")
    return sizes


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pairs(name: str, pairs: Any) -> list[Pair]:
    if not isinstance(pairs, (list, tuple)):
        raise UserError(f"genotype: {name} must be a list of [operation, source] pairs, not {pairs!r:.60}")
    result = []
    for pair in pairs:
        if (
            not isinstance(pair, (list, tuple))
            or len(pair) != 2
            or not isinstance(pair[0], str)
            or not _is_index(pair[1])
        ):
            raise UserError(f"genotype: {pair!r:.60} in {name} is not an [operation, source] pair")
        result.append(Pair(pair[0], pair[1]))
    return result


def parse(text: str) -> Genotype:
    """A genotype from its JSON or from the literature's ``Genotype(...)`` text, with or without ``NAME =`` before it.

    The text form is parsed as literals (and ``range(...)``) and never evaluated.

    Raises:
        UserError: if the text is neither, or describes an impossible cell.
    """
    own = _read_by_kind(text)
    if own is not None:
        return own
    text = re.sub(r"^\w+\s*=\s*(?=Genotype\b)", "", text.strip())
    fields = _call_fields(text) if text.startswith("Genotype") else _json_fields(text)
    kind = fields.pop("kind", "rnn" if "recurrent" in fields else "cnn")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"genotype: unknown kind {kind!r}; known: {', '.join(KINDS)}")
    cells: dict[str, tuple[Any, Any]] = {}
    inputs: dict[str, Any] = {}
    for name in KINDS.get(kind).cell_types:
        form = KINDS.get(kind).concat
        concat = None if form is None else form.format(cell=name)
        for key in (name, concat):
            if key is not None and key not in fields:
                raise UserError(f"genotype: {key!r} is missing; found {sorted(fields)}")
        cells[name] = (fields.pop(name), None if concat is None else fields.pop(concat))
        if f"{name}_inputs" in fields:
            inputs[name] = fields.pop(f"{name}_inputs")
    if fields:
        raise UserError(f"genotype: unknown field {sorted(fields)[0]!r}")
    return from_pairs(kind, cells, inputs)


def is_text(text: str) -> bool:
    """Whether this is the text of a genotype, rather than a name or a path."""
    return text.lstrip().startswith(("Genotype(", "{")) or _read_by_kind(text) is not None


def _read_by_kind(text: str) -> Genotype | None:
    """What the first kind with a text form of its own makes of a text; None if none knows it."""
    readers = (KINDS.get(name).parse_text for name in KINDS)
    return next((found for read in readers if read is not None and (found := read(text)) is not None), None)


def _json_fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"genotype: neither JSON nor Genotype(...) text: {text[:40]!r} ({error})") from None
    if not isinstance(fields, dict):
        raise UserError(f"genotype: the JSON must be an object, not {text[:40]!r}")
    return fields


def _call_fields(text: str) -> dict[str, Any]:
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "Genotype" or call.args:
            raise ValueError("expected Genotype(name=value, ...)")
        fields = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                raise ValueError("** is not allowed")
            fields[keyword.arg] = _literal(keyword.value)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise UserError(f"genotype: {text[:40]!r}... is not readable as Genotype(...): {error}") from None
    return fields


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("range", "list"):
        arguments = [_literal(argument) for argument in node.args]
        if node.func.id == "list" and len(arguments) == 1:
            return list(arguments[0])
        bounds = [int(argument) for argument in arguments]
        if node.func.id == "range" and len(bounds) in (1, 2) and all(abs(bound) <= 1000 for bound in bounds):
            return list(range(*bounds))
        raise ValueError("only range(start, stop) and list(...) are understood")
    return ast.literal_eval(node)
