"""The kinds of convolutional cells, and the form in which NAS-Bench-301 writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from darts_pl.errors import UserError
from darts_pl.genotype.kinds import Kind, register_kind

_NAME = "cnn"
_CELL_TYPES = ("normal", "reduce")
_INPUT_NODES = 2

#: One entry of NAS-Bench-301's configuration in any of its spellings: as JSON or as a dictionary, as ConfigSpace
#: prints it (``edge_normal_0, Value: 'max_pool_3x3'``), as arguments (``edge_normal_0='max_pool_3x3'``).
_ENTRY = re.compile(
    rf"(edge|inputs_node)_({'|'.join(_CELL_TYPES)})_(\d{{1,4}})['\"]?\s{{0,9}}"
    r"(?:,\s{0,9}(?:Value|Constant)\s{0,9})?[:=]\s{0,9}['\"]?(\w{1,60})"
)
_ABSENT = {"None", "null", "nan", "NaN"}


def nasbench301_fields(text: str) -> Mapping[str, Any] | None:
    """The fields of a NAS-Bench-301 configuration; None if the text holds none.

    Its keys (with or without ``NetworkSelectorDatasetInfo:darts:`` before them) are ``edge_normal_E``, the operation
    on edge E, with edges numbered by target and then by source, and ``inputs_node_normal_T``, the two nodes that
    node T reads, such as "0_2"; likewise for reduce. All intermediate nodes are concatenated (Siems et al., 2020,
    and the benchmark's code).

    Raises:
        UserError: if edges and inputs do not fit together, or the text holds several configurations.
    """
    if "edge_" not in text or "Genotype(" in text:
        return None
    found: dict[tuple[str, str, int], str] = {}
    for entry in _ENTRY.finditer(text):
        key = (entry.group(1), entry.group(2), int(entry.group(3)))
        if found.setdefault(key, entry.group(4)) != entry.group(4):
            raise UserError(
                f"genotype: {'_'.join(map(str, key))} is both {found[key]!r} and {entry.group(4)!r}; "
                "give one NAS-Bench-301 configuration"
            )
    found = {key: value for key, value in found.items() if value not in _ABSENT}
    if not found:
        return None
    fields: dict[str, Any] = {"kind": _NAME}
    for cell_type in _CELL_TYPES:
        edges = {number: value for (what, cell, number), value in found.items() if (what, cell) == ("edge", cell_type)}
        inputs = {
            number: value
            for (what, cell, number), value in found.items()
            if (what, cell) != ("edge", cell_type) and cell == cell_type
        }
        if not edges:
            raise UserError(f"genotype: no edge_{cell_type}_... in the NAS-Bench-301 configuration")
        nodes = _nodes(cell_type, edges, inputs)
        fields[cell_type] = nodes
        fields[f"{cell_type}_concat"] = list(range(_INPUT_NODES, _INPUT_NODES + len(nodes)))
    return fields


def _nodes(cell_type: str, edges: Mapping[int, str], inputs: Mapping[int, str]) -> list[list[tuple[str, int]]]:
    nodes: list[list[tuple[str, int]]] = []
    first = 0  # number of the first edge that enters the node
    while first <= max(edges):
        target = _INPUT_NODES + len(nodes)
        present = [source for source in range(target) if first + source in edges]
        named = inputs.get(target, "_".join(map(str, present)))
        sources = [int(source) for source in re.findall(r"\d{1,4}", named)]
        if len(sources) != 2 or not set(sources) <= set(present):
            raise UserError(
                f"genotype: node {target} of the {cell_type} cell has edges from nodes {present} and "
                f"inputs_node_{cell_type}_{target} is {inputs.get(target)!r}; a NAS-Bench-301 node reads two of them"
            )
        nodes.append([(edges[first + source], source) for source in sources])
        first += target
    return nodes


@register_kind
def cnn() -> Kind:
    """Normal and reduction cells that read the outputs of the two cells before them (paper section 2.1)."""
    return Kind(
        _NAME, cell_types=_CELL_TYPES, input_nodes=_INPUT_NODES, inputs_per_node=2, parse_text=nasbench301_fields
    )


@register_kind
def cnn_fixed_reduction() -> Kind:
    """Normal cells alone: the reduction cells between them are fixed (Dong and Yang, GDAS, CVPR 2019)."""
    return Kind(
        "cnn_fixed_reduction",
        cell_types=_CELL_TYPES[:1],
        input_nodes=_INPUT_NODES,
        inputs_per_node=2,
        named=True,
    )
