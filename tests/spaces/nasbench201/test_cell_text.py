"""The benchmark's text of a cell, and which cells count as the same."""

import itertools
import json
import math
import random

import pytest

from darts_pl.errors import UserError
from darts_pl.spaces.nasbench201 import OPERATIONS, NasBench201, canonical_form, edges, parse_text, to_text

ALL = list(itertools.product(range(5), repeat=6))
RESNET = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"


def test_edges_are_listed_as_in_the_recorded_code(sizes_file):
    recorded = json.loads(sizes_file.read_text())
    assert [f"{target}<-{source}" for source, target in edges()] == recorded["edges"]
    assert list(OPERATIONS) == recorded["candidates"]


def test_all_15625_texts_parse_and_write_back_to_themselves():
    texts = set()
    for cell in ALL:
        names = [OPERATIONS[index] for index in cell]
        text = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*names)
        assert parse_text(text) == cell
        assert to_text(cell) == text
        texts.add(text)
    assert len(texts) == 15_625


def test_recorded_genotypes_are_the_texts_of_the_largest_alphas(genotypes_file):
    recorded = json.loads(genotypes_file.read_text())
    for case in recorded["cases"] if isinstance(recorded, dict) else recorded:
        cell = [row.index(max(row)) for row in case["alphas"]]
        assert to_text(cell) == case["genotype"]


@pytest.mark.parametrize(
    "given",
    [f"'{RESNET}'", f'"{RESNET}"', f"\"'{RESNET}'\"", f"  {RESNET}\n", RESNET.replace("+", " + ").replace("|", " | ")],
)
def test_quotes_and_blanks_around_a_text_do_not_matter(given):
    assert parse_text(given) == (3, 0, 3, 1, 0, 1)


def test_cells_with_other_numbers_of_nodes_parse_where_they_are_asked_for():
    assert parse_text("|nor_conv_1x1~0|", nodes=2) == (2,)
    five = RESNET + "+|none~0|none~1|skip_connect~2|avg_pool_3x3~3|"
    assert parse_text(five, nodes=None) == parse_text(five, nodes=5) == (3, 0, 3, 1, 0, 1, 0, 0, 1, 4)
    assert to_text(parse_text(five, nodes=5)) == five


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RESNET.replace("|none~0", "|conv_5x5~0"), "unknown operation 'conv_5x5' at node 2; known: none, skip_connect"),
        (RESNET.replace("|none~0", ""), "inputs of node 2: 1 given, 2 needed"),
        (RESNET.replace("|none~0", "|none~0|none~1"), "inputs of node 2: 3 given, 2 needed"),
        (RESNET.replace("|none~0", "|none~1"), "input 'none~1' of node 2 must be OPERATION~0"),
        (RESNET.replace("|none~0", "|none"), "input 'none' of node 2 must be OPERATION~0"),
        (RESNET.rpartition("+")[0], "it has 3 nodes with the input; the cells of the benchmark have 4"),
        (RESNET + "+|none~0|none~1|none~2|none~3|", "it has 5 nodes with the input"),
        ("", "'' is not a list of inputs; write for example |skip_connect~0|+"),
        ("Genotype(normal=[])", "is not a list of inputs"),
        (RESNET[:-1], "is not a list of inputs"),
        ('"\'"', "is not a list of inputs"),
    ],
)
def test_a_text_of_another_form_is_refused_in_one_line(text, message):
    with pytest.raises(UserError) as caught:
        parse_text(text)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("cell", "message"), [((1, 2), "2 operations"), ((1, 2, 5), "operation 5 does not exist")])
def test_a_cell_that_does_not_exist_has_no_text(cell, message):
    with pytest.raises(UserError, match=message):
        to_text(cell)


def output(cell):
    """The output node for one input, with an odd function of its own for each operation."""
    functions = [lambda x: 0.0, lambda x: x, *(lambda x, f=f: math.sin(f * x) for f in (1.7, 2.3, 0.9))]
    nodes = [0.6]
    for target in (1, 2, 3):
        entering = [(cell[number], source) for number, (source, end) in enumerate(edges()) if end == target]
        nodes.append(math.fsum(functions[index](nodes[source]) for index, source in entering))
    return round(nodes[-1], 10)


def test_canonical_forms_agree_with_the_classes_of_the_table_on_2000_pairs():
    table, draw = NasBench201(), random.Random(0)
    pairs = [draw.sample(range(len(table)), 2) for _ in range(1000)]
    while len(pairs) < 2000:  # two random cells are hardly ever isomorphic
        entry = table.lookup(draw.randrange(len(table)))
        if entry.twins:
            pairs.append([entry.number, draw.choice(entry.twins)])
    for one, other in (map(table.lookup, pair) for pair in pairs):
        same = canonical_form(one.cell) == canonical_form(other.cell)
        assert same == (one.iso_class == other.iso_class), (one.text, other.text)


def test_there_are_as_many_forms_as_published_and_cells_of_one_form_compute_the_same():
    outputs = {}
    for cell in ALL:
        outputs.setdefault(canonical_form(cell), set()).add(output(cell))
    assert len(outputs) == 6_466
    assert all(len(values) == 1 for values in outputs.values())


def test_a_zero_term_makes_a_form_of_its_own_although_it_adds_nothing():
    with_zero, without = parse_text(RESNET), parse_text(RESNET.replace("none~1", "skip_connect~1"))
    dead = parse_text("|none~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|none~2|")
    plain_skip = parse_text("|none~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|")
    assert canonical_form(dead) == canonical_form(plain_skip) == "#+#+0"
    assert canonical_form(with_zero) != canonical_form(without)
