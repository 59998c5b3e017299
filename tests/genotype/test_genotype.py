"""Genotypes: the forms in which they are read and written, and what is refused."""

import copy
import json
import pickle
import random

import pytest

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Pair, from_pairs, parse
from tests.genotype.examples import JSON, RECURRENT_TEXT, TEXT, recurrent_written_out, written_out


def test_the_text_of_the_literature_and_json_say_the_same():
    assert parse(TEXT) == parse(JSON) == written_out()
    assert hash(parse(TEXT)) == hash(parse(JSON))
    assert str(parse(JSON)) == TEXT
    assert json.loads(parse(TEXT).to_json()) == json.loads(JSON)


def test_a_recurrent_genotype_has_one_pair_a_node_and_one_list_of_concatenated_nodes():
    assert parse(RECURRENT_TEXT) == recurrent_written_out()


@pytest.mark.parametrize(
    "spelling",
    [
        TEXT,
        f"\n  {TEXT}\n",
        f"DARTS_V2 = {TEXT}\n",
        TEXT.replace("[2, 3]", "range(2, 4)"),
        TEXT.replace("[2, 3]", "list(range(2, 4))"),
        TEXT.replace("[2, 3]", "(2, 3)"),
        TEXT.replace("=", " = ").replace(", ", ",\n    "),
        TEXT.replace("'", '"'),
        TEXT.replace("[3])", "[3],)"),
        JSON,
        JSON.replace('"kind": "cnn",', ""),
        json.dumps(json.loads(JSON)),
    ],
)
def test_every_spelling_that_people_print_is_read(spelling):
    assert parse(spelling) == written_out()


def some_genotype(seed):
    """Any cells: some nodes with no input, one, or many."""
    rng = random.Random(seed)
    kind, types, inputs = rng.choice([("cnn", ("normal", "reduce"), 2), ("rnn", ("recurrent",), 1)])
    cells = {}
    for name in types:
        nodes = tuple(
            tuple(Pair(rng.choice("abc"), rng.randrange(inputs + index)) for _ in range(rng.choice([0, 1, 2, 2, 3])))
            for index in range(rng.randint(1, 6))
        )
        intermediate = range(inputs, inputs + len(nodes))
        unread = set(intermediate) - {pair.source for node in nodes for pair in node}
        some = set(rng.sample(intermediate, rng.randint(1, len(nodes))))
        cells[name] = CellGenotype(nodes, tuple(sorted(unread | some)))
    return Genotype(kind, cells)


@pytest.mark.parametrize("seed", range(40))
def test_any_genotype_comes_back_from_json_text_pickle_and_copy(seed):
    genotype = some_genotype(seed)
    texts = (parse(genotype.to_json()), parse(str(genotype)))
    for again in (*texts, pickle.loads(pickle.dumps(genotype)), copy.deepcopy(genotype)):
        assert again == genotype
        assert hash(again) == hash(genotype)


def test_a_genotype_cannot_be_changed():
    genotype = parse(TEXT)
    with pytest.raises(AttributeError):
        genotype.kind = "rnn"
    with pytest.raises(TypeError):
        genotype.cells["normal"] = genotype.cells["reduce"]
    cells = dict(genotype.cells)
    again = Genotype("cnn", cells)
    cells.clear()
    assert again == genotype


ATTACKS = [
    "Genotype(normal=__import__('os').system('touch PATH'), normal_concat=[2], reduce=[], reduce_concat=[2])",
    "Genotype(normal=[(open('PATH', 'w').name, 0)], normal_concat=[2], reduce=[], reduce_concat=[2])",
    "Genotype(normal=[], normal_concat=list(open('PATH', 'w')), reduce=[], reduce_concat=[2])",
    "Genotype(normal=[], normal_concat=range(open('PATH', 'w')), reduce=[], reduce_concat=[2])",
    "Genotype(**open('PATH', 'w').__dict__)",
    "Genotype(*[open('PATH', 'w')])",
    "Genotype(normal=[open('PATH', 'w') for _ in [1]], normal_concat=[2], reduce=[], reduce_concat=[2])",
    "Genotype(normal=(lambda: open('PATH', 'w'))(), normal_concat=[2], reduce=[], reduce_concat=[2])",
    'Genotype(normal=f\'{open("PATH", "w")}\', normal_concat=[2], reduce=[], reduce_concat=[2])',
    "Genotype.x(normal=open('PATH', 'w'))",
    "Genotype and open('PATH', 'w')",
    "Genotype(normal=[]); open('PATH', 'w')",
    "Genotype(normal=[])\nopen('PATH', 'w')",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_text_is_never_evaluated(text, tmp_path):
    path = tmp_path / "written"
    with pytest.raises(UserError) as caught:
        parse(text.replace("PATH", path.as_posix()))
    assert not path.exists()
    assert 1 <= len(str(caught.value).splitlines()) <= 3


def changed(**fields):
    data = json.loads(JSON)
    for key, value in fields.items():
        if value is None:
            del data[key]
        else:
            data[key] = value
    return json.dumps(data)


PAIRS = [["sep_conv_3x3", 0], ["skip_connect", 1]] * 2
REFUSED = {
    "empty": ("", "neither a JSON object nor Genotype"),
    "prose": ("the best cell of 2019", "'the best cell of 2019'"),
    "half a json": ('{"kind": "cnn", "normal": [', "not readable as JSON: expected a value, found the end in line 1"),
    "a json list": ("[1, 2]", r"neither a JSON object nor Genotype\(...\) text: '\[1, 2\]'"),
    "half a text": ("Genotype(normal=[('sep", "not readable as Genotype"),
    "no call": ("Genotype", "'Genotype'"),
    "a longer name": (TEXT.replace("Genotype", "GenotypeOfMine"), "neither a JSON object nor .*GenotypeOfMine"),
    "positional": ("Genotype([('skip_connect', 0)])", "not readable as Genotype"),
    "unknown kind": (changed(kind="gnn"), "unknown genotype kind 'gnn'; .*known: cnn, cnn_fixed_reduction, rnn"),
    "a kind that is a list": (changed(kind=["cnn"]), r"unknown genotype kind \['cnn'\]; known: cnn, cnn_fixed"),
    "cells of another kind": (changed(kind="rnn"), "'recurrent' is missing; found normal, normal_concat, reduce, "),
    "missing cell": (changed(reduce=None), "'reduce' is missing; found normal, normal_concat, reduce_concat"),
    "missing concat": (changed(normal_concat=None), "'normal_concat' is missing"),
    "unknown field": (changed(colour="red"), "unknown field 'colour'"),
    "pairs that are no list": (changed(normal="sep_conv_3x3"), "normal must be a list of .* not 'sep_conv_3x3'"),
    "a pair of three": (changed(normal=[["skip_connect", 0, 1]] * 2), r"\('skip_connect', 0, 1\) in normal could"),
    "a pair the wrong way round": (changed(normal=[[0, "skip_connect"]] * 2), r"\[0, 'skip_connect'\] in normal"),
    "a source with a fraction": (changed(normal=[["skip_connect", 0.5]] * 2), r"\['skip_connect', 0.5\] in normal"),
    "a source that is true": (changed(normal=[["skip_connect", True]] * 2), r"\['skip_connect', True\] in normal"),
    "an odd number of pairs": (changed(normal=PAIRS[:3]), "normal has 3 pairs; expected 2 for .*normal_inputs="),
    "a source ahead": (changed(normal=[*PAIRS[:3], ["skip_connect", 3]]), "node 3 of the normal .* node 3; .* 0 to 2"),
    "a negative source": (changed(reduce=[["skip_connect", -1]] * 2), "node 2 of the reduce .* node -1; .* 0 to 1"),
    "no nodes": (changed(normal=[]), "the normal cell has no nodes"),
    "nothing concatenated": (changed(normal_concat=[]), r"the normal cell concatenates \[\]"),
    "one node twice": (changed(normal_concat=[2, 2]), r"the normal cell concatenates \[2, 2\]"),
    "an input concatenated": (changed(normal_concat=[1]), "concatenates node 1; its intermediate nodes are 2 to 3"),
    "a node that is not there": (changed(reduce_concat=[9]), "concatenates node 9; its intermediate nodes are 2 to 3"),
    "concat that is no list": (changed(normal_concat=5), "nodes of normal must be a list of numbers, not 5"),
    "concat of strings": (changed(normal_concat=["2"]), r"list of numbers, not \['2'\]"),
    "inputs that do not add up": (changed(normal_inputs=[1, 1]), r"normal_inputs=\[1, 1\] does not add up to 4"),
    "inputs below zero": (changed(normal_inputs=[-1, 5]), r"normal_inputs=\[-1, 5\]"),
    "an endless range": (TEXT.replace("[2, 3]", "range(2, 10**12)"), "not readable as Genotype"),
    "a long range": (TEXT.replace("[2, 3]", "range(2, 100000000000)"), "only range"),
    "a range from far below": (TEXT.replace("[2, 3]", "range(-100000000000, 4)"), "only range"),
    "deeply nested json": ('{"normal": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested more than 40 times"),
    "deeply nested text": ("Genotype(normal=" + "[" * 1000 + "]" * 1000 + ")", "not readable as Genotype"),
    "a zero byte": ("Genotype(normal=[\0])", "not readable as Genotype"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_genotype_is_refused_in_at_most_three_lines_that_name_the_value(text, message):
    with pytest.raises(UserError, match=message) as caught:
        parse(text)
    lines = str(caught.value).splitlines()
    assert 1 <= len(lines) <= 3
    assert all(len(line) < 200 for line in lines)


def test_an_unknown_operation_is_named_with_its_cell_and_the_known_ones():
    genotype = parse(TEXT)
    genotype.check_operations({"sep_conv_3x3", "skip_connect", "sep_conv_5x5", "max_pool_3x3", "avg_pool_3x3"})
    with pytest.raises(UserError, match="unknown operation 'avg_pool_3x3' in the reduce cell\nknown: max") as caught:
        genotype.check_operations({"sep_conv_3x3", "skip_connect", "sep_conv_5x5", "max_pool_3x3"})
    assert len(str(caught.value).splitlines()) <= 3


def test_a_genotype_built_in_code_is_checked_like_one_that_was_read():
    cell = written_out().cells["normal"]
    with pytest.raises(UserError, match=r"has cells \['normal'\]; expected \['normal', 'reduce'\]"):
        Genotype("cnn", {"normal": cell})
    with pytest.raises(UserError, match="unknown genotype kind 'gnn'"):
        Genotype("gnn", {"normal": cell})
    with pytest.raises(UserError, match="unknown genotype kind 'gnn'"):
        from_pairs("gnn", {"normal": ([("skip_connect", 0)], [2])})
