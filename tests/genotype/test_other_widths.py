"""Nodes that do not read the usual number of nodes."""

import json

import pytest

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Pair, parse

#: Four nodes of three inputs each.
TRIPLES = (
    [("a", 0), ("b", 1), ("c", 0)],
    [("a", 2), ("b", 1), ("c", 0)],
    [("a", 3), ("b", 2), ("c", 0)],
    [("a", 4), ("b", 3), ("c", 2)],
)
FLAT = [pair for node in TRIPLES for pair in node]
REDUCE = "reduce=[('a', 0), ('b', 1)], reduce_concat=[2]"


def expected(nodes, concat):
    cell = CellGenotype(tuple(tuple(Pair(*pair) for pair in node) for node in nodes), tuple(concat))
    return Genotype("cnn", {"normal": cell, "reduce": CellGenotype(((Pair("a", 0), Pair("b", 1)),), (2,))})


REFUSED = {
    "three inputs": (
        f"Genotype(normal={FLAT}, normal_concat=range(2, 6), {REDUCE})",
        r"node 6 of the normal cell is neither read nor concatenated; 4 nodes with 3 .*normal_inputs=\[3, 3, 3, 3\]",
    ),
    "four inputs": (
        f"Genotype(normal={[('a', 0), ('b', 1)] * 4}, normal_concat=range(2, 4), {REDUCE})",
        r"node 4 of the normal cell .*normal_inputs=\[4, 4\]",
    ),
    "three inputs of an odd number of nodes": (
        f"Genotype(normal={FLAT[:9]}, normal_concat=range(2, 5), {REDUCE})",
        r"normal has 9 pairs; expected 2 for every node; 3 nodes with 3 inputs each .*normal_inputs=\[3, 3, 3\]",
    ),
    "one input": (
        f"Genotype(normal={[('a', 0), ('b', 2), ('c', 3), ('d', 4)]}, normal_concat=range(2, 6), {REDUCE})",
        r"node 2 of the normal cell reads node 2",
    ),
    "a node too many": (
        f"Genotype(normal={[('a', 0), ('b', 1)] * 3}, normal_concat=[2, 4], {REDUCE})",
        r"node 3 of the normal cell is neither read nor concatenated; .*normal_inputs=\[",
    ),
    "nested": (
        f"Genotype(normal={list(TRIPLES)}, normal_concat=[2, 5], {REDUCE.replace('[2]', '[2]')})".replace(
            "('a', 4)", "('a', 1)"
        ),
        r"node 4 of the normal cell is neither read nor concatenated",
    ),
    "recurrent": (
        "Genotype(recurrent=[('relu', 0), ('relu', 1), ('tanh', 1)], concat=[2])",
        r"node 3 of the recurrent cell is neither read nor concatenated; .*recurrent_inputs=",
    ),
    "the reduction cell as json": (
        json.dumps({"normal": [["a", 0], ["a", 1]], "normal_concat": [2], "reduce": FLAT[:6], "reduce_concat": [2, 3]}),
        r"node 4 of the reduce cell .*reduce_inputs=\[3, 3\]",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_node_that_is_neither_read_nor_concatenated_is_refused_with_how_other_widths_are_written(text, message):
    with pytest.raises(UserError, match=message) as caught:
        parse(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"Genotype(normal={FLAT}, normal_concat=range(2, 6), normal_inputs=[3, 3, 3, 3], {REDUCE})",
        f"Genotype(normal={FLAT}, normal_concat=[2, 3, 4, 5], {REDUCE}, normal_inputs=(3,) + (3, 3, 3))",
        f"Genotype(normal={list(TRIPLES)}, normal_concat=range(2, 6), {REDUCE})",
        f"Genotype(normal={list(TRIPLES)}, normal_inputs=[3, 3, 3, 3], normal_concat=range(2, 6), {REDUCE})",
    ],
    ids=["inputs", "inputs at the end", "nested", "nested and inputs"],
)
def test_three_inputs_a_node_are_read_where_they_are_written(text):
    wanted = expected(TRIPLES, range(2, 6))
    assert parse(text) == wanted
    assert parse(str(wanted)) == wanted
    assert parse(wanted.to_json()) == wanted


def test_nodes_of_different_widths_are_read_nested_and_with_inputs():
    nodes = [[("a", 0), ("b", 1)], [("c", 0)], [("d", 0), ("e", 2), ("f", 3)]]
    flat = [pair for node in nodes for pair in node]
    wanted = expected(nodes, [2, 3, 4])
    assert parse(f"Genotype(normal={nodes}, normal_concat=[2, 3, 4], {REDUCE})") == wanted
    assert parse(f"Genotype(normal={flat}, normal_inputs=[2, 1, 3], normal_concat=[2, 3, 4], {REDUCE})") == wanted
    assert "normal_inputs=[2, 1, 3]" in str(wanted)
    with pytest.raises(UserError, match=r"normal_inputs=\[2, 2, 2\] does not fit the nodes of normal"):
        parse(f"Genotype(normal={nodes}, normal_inputs=[2, 2, 2], normal_concat=[2, 3, 4], {REDUCE})")
