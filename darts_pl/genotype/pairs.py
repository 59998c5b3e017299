"""A genotype from plain values: flat or nested lists of pairs and lists of nodes."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from darts_pl.errors import UserError
from darts_pl.genotype.cells import CellGenotype, Genotype, Pair, find_kind, other_width, show
from darts_pl.genotype.kinds import Kind

#: No node has a larger number; more is a mistake.
LARGEST_NODE = 100_000


def from_pairs(kind: str, cells: Mapping[str, tuple[Any, Any]], inputs: Mapping[str, Any] | None = None) -> Genotype:
    """A genotype from lists, as the literature prints them. Lists may be tuples or arrays.

    Args:
        kind: a name in `KINDS`.
        cells: per cell type ``([(operation, source), ...], [concatenated nodes])``. The pairs may be nested by
            node, ``[[(operation, source), ...], ...]``, and a pair may have a weight as third entry, which is not
            used. The concatenated nodes are None for a kind that does not write them.
        inputs: per cell type the number of pairs of each node, where it is not the usual one of the kind
            (2 for "cnn", 1 for "rnn") and the pairs are not nested.

    Raises:
        UserError: if a value has the wrong form.
    """
    found = find_kind(kind)
    built = {}
    for name, (pairs, concat) in cells.items():
        entries = _sequence(pairs)
        if entries is None:
            raise UserError(f"genotype: {name} must be a list of [operation, source] pairs, not {show(pairs)}")
        sizes = (inputs or {}).get(name)
        listed = None if found.concat is None and concat is None else _nodes(name, concat)
        if found.triples is not None and any(_is_integer_triple(entry) for entry in entries):
            nodes = _from_triples(name, entries, found)
        elif entries and all(_is_node(entry) for entry in entries):
            nodes = [tuple(_pair(name, pair) for pair in _sequence(node) or ()) for node in entries]
            if sizes is not None and _integers(sizes) != [len(node) for node in nodes]:
                raise UserError(f"genotype: {name}_inputs={show(sizes)} does not fit the nodes of {name}")
        else:
            flat = [_pair(name, entry) for entry in entries]
            nodes = _split(flat, _sizes(name, flat, sizes, listed or [], found))
        output = [found.input_nodes + len(nodes) - 1] if listed is None else listed
        built[name] = CellGenotype(nodes=tuple(nodes), concat=tuple(output))
    return Genotype(kind=kind, cells=built)


def _sequence(value: Any) -> Sequence[Any] | None:
    """A list, a tuple, a range or an array as a sequence; None for anything else."""
    if isinstance(value, (list, tuple, range)):
        return value
    if not isinstance(value, (str, bytes)) and hasattr(value, "tolist") and getattr(value, "ndim", 0) > 0:
        listed = value.tolist()
        return listed if isinstance(listed, list) else None
    return None


def _integer(value: Any) -> int | None:
    """A whole number of Python or NumPy that can be one of a node; None for anything else."""
    if isinstance(value, (bool, float, str)) or not hasattr(value, "__index__"):
        return None
    try:
        number = int(value.__index__())
    except TypeError:  # an array of several numbers
        return None
    return number if abs(number) <= LARGEST_NODE and type(value).__name__ not in ("bool", "bool_") else None


def _integers(value: Any) -> list[int] | None:
    entries = _sequence(value)
    if entries is None or len(entries) > LARGEST_NODE:
        return None
    numbers = [_integer(entry) for entry in entries]
    return None if None in numbers else [number for number in numbers if number is not None]


def _nodes(name: str, concat: Any) -> list[int]:
    """The concatenated nodes; ranges and lists among them are written out."""
    entries = _sequence(concat)
    numbers: list[int] = []
    for entry in [None] if entries is None or len(entries) > LARGEST_NODE else entries:
        listed = _integers([entry] if _sequence(entry) is None else entry)
        if listed is None:
            raise UserError(f"genotype: the concatenated nodes of {name} must be a list of numbers, not {show(concat)}")
        numbers += listed
    return numbers


def _is_node(entry: Any) -> bool:
    """Whether an entry is a list of pairs, and not a pair."""
    pairs = _sequence(entry)
    return pairs is not None and all(_sequence(pair) is not None for pair in pairs)


def _is_integer_triple(entry: Any) -> bool:
    values = _sequence(entry)
    return values is not None and len(values) == 3 and all(_integer(value) is not None for value in values[1:])


def _is_weight(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral)


def _pair(name: str, entry: Any) -> Pair:
    values = _sequence(entry)
    if values is not None and _is_integer_triple(values) and isinstance(values[0], str):
        raise UserError(
            f"genotype: {show(tuple(values))} in {name} could be (operation, node, source), as FairDARTS writes it, "
            "or (operation, source, node), as NAT does; nest pairs by node: [[(operation, source), ...], ...]"
        )
    if values is not None and len(values) == 3 and _is_weight(values[2]):
        values = values[:2]  # the weight by which the pair was selected, as GDAS's code prints it
    source = _integer(values[1]) if values is not None and len(values) == 2 else None
    if values is None or source is None or not isinstance(values[0], str):
        raise UserError(f"genotype: {show(entry)} in {name} is not an [operation, source] pair")
    return Pair(str(values[0]), source)


def _sizes(name: str, flat: Sequence[Pair], given: Any, concat: Sequence[int], kind: Kind) -> list[int]:
    """How many of the pairs belong to each node."""
    if given is not None:
        sizes = _integers(given)
        if sizes is None or min(sizes, default=0) < 0 or sum(sizes) != len(flat):
            raise UserError(f"genotype: {name}_inputs={show(given)} does not add up to {len(flat)} pairs")
        return sizes
    sizes = []
    while sum(sizes) < len(flat) and kind.inputs_per_node is None:
        sizes.append(kind.usual_inputs(len(sizes)))
    if kind.inputs_per_node is None:
        if sum(sizes) != len(flat):
            raise UserError(f"genotype: {name} has {len(flat)} pairs; expected {sum(sizes)} for {len(sizes)} nodes")
        return sizes
    nodes, left = divmod(len(flat), kind.inputs_per_node)
    if left:
        raise UserError(
            f"genotype: {name} has {len(flat)} pairs; expected {kind.inputs_per_node} for every node; "
            + other_width(name, len(flat), concat, kind)
        )
    return [kind.inputs_per_node] * nodes


def _split(flat: Sequence[Pair], sizes: Sequence[int]) -> list[tuple[Pair, ...]]:
    nodes, start = [], 0
    for size in sizes:
        nodes.append(tuple(flat[start : start + size]))
        start += size
    return nodes


def _from_triples(name: str, entries: Sequence[Any], kind: Kind) -> list[tuple[Pair, ...]]:
    """Nodes from triples in the order that the kind names; a node without a triple is missing."""
    assert kind.triples is not None
    nodes: dict[int, list[Pair]] = {}
    for entry in entries:
        values = _sequence(entry)
        if values is None or not _is_integer_triple(values) or not isinstance(values[0], str):
            order = ", ".join(kind.triples)
            raise UserError(f"genotype: {show(entry)} in {name} is not an (operation, {order}) triple")
        numbers = dict(zip(kind.triples, (_integer(value) or 0 for value in values[1:]), strict=True))
        if not 0 <= numbers["node"] - kind.input_nodes < LARGEST_NODE // 100:
            raise UserError(
                f"genotype: {show(tuple(values))} in {name} names node {numbers['node']}, an input node or "
                "none of the cell"
            )
        nodes.setdefault(numbers["node"], []).append(Pair(str(values[0]), numbers["source"]))
    return [tuple(nodes.get(node, ())) for node in range(kind.input_nodes, max(nodes) + 1)]
