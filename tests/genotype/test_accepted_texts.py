"""Texts whose meaning is plain: each is compared with the genotype that it means, built from its parts."""

import json
import logging

import numpy as np
import pytest

from darts_pl.errors import UserError
from darts_pl.genotype import from_pairs, parse
from tests.genotype.examples import JSON, RECURRENT_TEXT, TEXT, recurrent_written_out, written_out

NESTED = (
    "Genotype(normal=[(('sep_conv_3x3', 0), ('skip_connect', 1)), (('sep_conv_5x5', 2), ('max_pool_3x3', 0))], "
    "normal_concat=[2, 3], reduce=[(('max_pool_3x3', 0), ('max_pool_3x3', 1)), (('skip_connect', 2), "
    "('avg_pool_3x3', 1))], reduce_concat=[3])"
)
NESTED_JSON = json.dumps(
    {
        "normal": [[["sep_conv_3x3", 0], ["skip_connect", 1]], [["sep_conv_5x5", 2], ["max_pool_3x3", 0]]],
        "normal_concat": [2, 3],
        "reduce": [[["max_pool_3x3", 0], ["max_pool_3x3", 1]], [["skip_connect", 2], ["avg_pool_3x3", 1]]],
        "reduce_concat": [3],
    }
)
PYTHON = str(json.loads(JSON)).replace("[['", "[('").replace("], ['", "), ('").replace("]], '", ")], '")
WEIGHTED = TEXT.replace("', 0)", "', 0, 0.13)").replace("', 1)", "', 1, 1.0)").replace("', 2)", "', 2, 7e-2)")

TEXTS = {
    "nested tuples": NESTED,
    "nested lists": NESTED.replace("((", "[(").replace("))", ")]"),
    "nested lists of lists": NESTED.replace("((", "[[").replace("))", "]]").replace("('", "['").replace("),", "],"),
    "nested json": NESTED_JSON,
    "AutoDL's file": NESTED[:-1] + ",\n  connectN=None, connects=None,\n)",
    "AutoDL's file with comments": NESTED.replace("1)), ", "1)), # step 1\n    "),
    "AutoDL's dictionary with weights": str(
        {
            "normal": [
                (("sep_conv_3x3", 0, 0.13), ("skip_connect", 1, 0.2)),
                (("sep_conv_5x5", 2, 0.5), ("max_pool_3x3", 0, 0.25)),
            ],
            "normal_concat": [2, 3],
            "reduce": [
                (("max_pool_3x3", 0, 0.1), ("max_pool_3x3", 1, 0.1)),
                (("skip_connect", 2, 0.1), ("avg_pool_3x3", 1, 0.1)),
            ],
            "reduce_concat": [3],
        }
    ),
    "weights": WEIGHTED,
    "weights of NumPy": WEIGHTED.replace("0.13", "np.float32(0.13)"),
    "weights of torch": WEIGHTED.replace("0.13", "tensor(0.1300, device='cuda:0')").replace("1.0", "nan"),
    "fields of value None": TEXT[:-1] + ", connectN=None, connects=None)",
    "a json field of value null": JSON[:-1].rstrip() + ', "connects": null}',
    "inputs of value None": TEXT[:-1] + ", normal_inputs=None)",
    "a dotted name": f"genotypes.{TEXT}",
    "a longer dotted name": f"cnn.genotypes.{TEXT}",
    "a dotted name assigned": f"best = lib.genotypes.{TEXT}",
    "an assignment": f"DARTS_V2 = {TEXT}",
    "an annotated assignment": f"DARTS_V2: Genotype = {TEXT}\n",
    "a line of a log": f"2019-05-08 21:12:15,771 genotype = {TEXT}",
    "a line of a log with more behind it": f"epoch 49 {TEXT}, valid_acc 97.1\nepoch 50 lr 0.0",
    "a sentence": f"The cell that we found is {TEXT}.",
    "a call": f"logging.info({TEXT!r})".replace('"', ""),
    "in the text of a json": json.dumps({"task": "search", "genotype": TEXT, "seed": 1}),
    "a byte order mark": f"\ufeff{TEXT}",
    "a byte order mark before json": f"\ufeff{JSON}",
    "a byte order mark before an assignment": f"\ufeffDARTS = {TEXT}",
    "a dictionary of Python": PYTHON,
    "an assigned dictionary": f"cell = {PYTHON}",
    "dict(...)": TEXT.replace("Genotype(", "dict("),
    "OrderedDict(...)": f"OrderedDict({list(json.loads(JSON).items())})",
    "a dictionary inside another": json.dumps({"epoch": 3, "genotype": json.loads(JSON)}),
    "NumPy's numbers": TEXT.replace("', 0)", "', np.int64(0))").replace("[3]", "[np.int64(3)]"),
    "NumPy's numbers with the long name": TEXT.replace("', 2)", "', numpy.int32(2))"),
    "NumPy's texts": TEXT.replace("'sep_conv_3x3'", "np.str_('sep_conv_3x3')"),
    "an array": TEXT.replace("[2, 3]", "array([2, 3])"),
    "an array with a type": TEXT.replace("[2, 3]", "np.array([2, 3], dtype=np.int64)"),
    "an array of pairs": TEXT.replace("normal=", "normal=array(").replace(", normal_", ", dtype=object), normal_"),
    "a tensor": TEXT.replace("[2, 3]", "tensor([2, 3])"),
    "range with three arguments": TEXT.replace("[2, 3]", "range(2, 4, 1)"),
    "range with a wide step": TEXT.replace("[3]", "range(3, 9, 7)"),
    "range downwards": TEXT.replace("[3]", "range(3, 2, -1)"),
    "tuple(range)": TEXT.replace("[2, 3]", "tuple(range(2, 4))"),
    "a tuple of ranges": TEXT.replace("[2, 3]", "(range(2, 3), range(3, 4))"),
    "a tuple of one range": TEXT.replace("[2, 3]", "(range(2, 4),)"),
    "a range in brackets": TEXT.replace("[2, 3]", "(range(2, 4))"),
    "a range written out by a star": TEXT.replace("[2, 3]", "[*range(2, 4)]"),
    "added lists": TEXT.replace("[2, 3]", "[2] + list(range(3, 4))"),
    "a set": TEXT.replace("[2, 3]", "{3, 2}"),
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_text_with_a_plain_meaning_is_read(text, caplog):
    with caplog.at_level(logging.WARNING):
        assert parse(text) == written_out()
    assert caplog.messages == []


RECURRENT = {
    "the text of the literature": RECURRENT_TEXT,
    "nested": "Genotype(recurrent=[[('sigmoid', 0)], [('relu', 1)], [('tanh', 1)]], concat=[1, 2, 3])",
    "nested json": '{"recurrent": [[["sigmoid", 0]], [["relu", 1]], [["tanh", 1]]], "concat": [1, 2, 3]}',
    "in a log": f"| end of epoch 49\n06/01 12:00:00 AM {RECURRENT_TEXT}\n",
    "NumPy's": RECURRENT_TEXT.replace("1)", "np.int64(1))").replace("range(1, 4)", "array([1, 2, 3])"),
    "a dictionary": "{'recurrent': [('sigmoid', 0), ('relu', 1), ('tanh', 1)], 'concat': range(1, 4)}",
}


@pytest.mark.parametrize("text", RECURRENT.values(), ids=RECURRENT.keys())
def test_a_recurrent_genotype_is_read_from_the_same_forms(text):
    assert parse(text) == recurrent_written_out()


OTHER = TEXT.replace("sep_conv_3x3", "dil_conv_3x3")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (f"epoch 0 genotype = {OTHER}\nepoch 1 genotype = {TEXT}\n", 2),
        ("\n".join(f"2024-01-01 INFO {text}\nloss 0.1" for text in [OTHER] * 50 + [TEXT]), 51),
        ("\n".join(" ".join(text.split()) for text in (JSON.replace("sep_conv_3x3", "max_pool_3x3"), JSON)), 2),
    ],
    ids=["two", "a whole log", "one json a line"],
)
def test_of_several_genotypes_the_last_counts_and_a_warning_says_so(text, count, caplog):
    with caplog.at_level(logging.WARNING):
        assert parse(text) == written_out()
    assert caplog.messages == [f"genotype: the text holds {count} genotypes; the last one is taken"]


def test_a_log_that_ends_within_its_last_genotype_is_refused():
    with pytest.raises(UserError, match="found the end in line 2"):
        parse(f"epoch 0 {OTHER}\nepoch 1 {TEXT[:150]}")


@pytest.mark.parametrize("behind", ["._replace(reduce=[])", ".normal", "[0]", " + (1,)", "*2"])
def test_an_expression_that_makes_something_else_of_a_genotype_is_refused(behind):
    with pytest.raises(UserError, match="after the genotype would change it"):
        parse(TEXT + behind)


def test_arrays_and_numbers_of_numpy_are_taken_in_code_as_well():
    wanted = written_out()
    cells = {
        name: (np.array([tuple(pair) for pair in cell.pairs], dtype=object), np.array(cell.concat))
        for name, cell in wanted.cells.items()
    }
    assert from_pairs("cnn", cells) == wanted
    nested = [
        [(np.str_(pair.operation), np.int64(pair.source)) for pair in node] for node in wanted.cells["reduce"].nodes
    ]
    assert from_pairs("cnn", {**cells, "reduce": (nested, (range(3, 4),))}) == wanted


@pytest.mark.parametrize(
    "value", [zip([1], [2], strict=True), object(), (n for n in [1]), np.ones, [object()], {1: object()}]
)
def test_no_message_holds_the_address_of_an_object(value):
    for cells in (
        {"recurrent": (value, [1])},
        {"recurrent": ([("relu", 0)], value)},
        {"recurrent": ([("relu", value)], [1])},
        {"recurrent": ([value], [1])},
    ):
        with pytest.raises(UserError) as caught:
            from_pairs("rnn", cells)
        assert "0x" not in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Genotype(normal=[('a', 0), ('a', 1)], normal_concat=[2])",
            "'reduce' is missing; found normal, normal_concat",
        ),
        ("{'reduce': [('a', 0), ('a', 1)], 'reduce_concat': [2]}", "'normal' is missing; found reduce, reduce_concat"),
        ("Genotype(recurrent=[('a', 0)])", "'concat' is missing; found recurrent"),
        ("Genotype(normal=[('a', 0)] * 2, normal_concat=[2])", "expected ',' or '\\)', found '\\*' in line 1"),
        ("Genotype(normal=None, normal_concat=None, reduce=None)", "'normal' is missing; found nothing"),
    ],
)
def test_with_a_field_missing_the_message_names_what_was_found(text, message):
    with pytest.raises(UserError, match=message):
        parse(text)


@pytest.mark.parametrize(
    "triple", ["('sep_conv_3x3', 2, 0)", "['sep_conv_3x3', 0, 2]", "('sep_conv_3x3', 2, np.int64(1))"]
)
def test_triples_of_two_numbers_are_refused_with_both_orders(triple):
    rest = "normal_concat=[2], reduce=[('a', 0), ('a', 1)], reduce_concat=[2])"
    for pairs in (f"[{triple}, {triple}]", f"[[{triple}, {triple}]]", f"(({triple}, ('a', 1)),)"):
        with pytest.raises(UserError, match=r"\(operation, node, source\), .*\(operation, source, node\)"):
            parse(f"Genotype(normal={pairs}, {rest}")
