"""Kinds of genotypes that a search space or a user's module registers."""

import logging
import re

import pytest

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, CellGenotype, Genotype, Kind, Pair, from_pairs, parse, register_kind
from darts_pl.ops import NONE
from tests.genotype.examples import TEXT, written_out


@pytest.fixture
def more_kinds(monkeypatch):
    """The registry, which a test may fill."""
    monkeypatch.setattr(KINDS, "_items", dict(KINDS._items))
    monkeypatch.setattr(KINDS, "_origins", dict(KINDS._origins))


def bars(text):
    """The fields of ``!op~0!+!op~0!op~1!+...``, much as NAS-Bench-201 writes its cells."""
    found = re.search(r"!\w+~0!(?:\+(?:!\w+~\d+)+!)*", text)
    if found is None:
        return None
    return {"part": [(name, int(source)) for name, source in re.findall(r"(\w+)~(\d+)", found.group())]}


def with_bars(genotype):
    (cell,) = genotype.cells.values()
    return "+".join("!" + "".join(f"{pair.operation}~{pair.source}!" for pair in node) for node in cell.nodes)


def bench():
    return Kind(
        "bench", ("part",), input_nodes=1, inputs_per_node=None, concat=None, none=True, parse_text=bars, text=with_bars
    )


#: A cell in the text form of that kind.
PRINTED = "!none~0!+!skip_connect~0!nor_conv_3x3~1!+!nor_conv_3x3~0!skip_connect~1!nor_conv_1x1~2!"
NODES = (
    (Pair("none", 0),),
    (Pair("skip_connect", 0), Pair("nor_conv_3x3", 1)),
    (Pair("nor_conv_3x3", 0), Pair("skip_connect", 1), Pair("nor_conv_1x1", 2)),
)


@pytest.mark.usefixtures("more_kinds")
def test_a_kind_of_its_own_text_that_keeps_every_earlier_node_is_registered_in_one_place(caplog):
    register_kind(bench)
    wanted = Genotype("bench", {"part": CellGenotype(NODES, (3,))})
    flat = [tuple(pair) for node in NODES for pair in node]
    with caplog.at_level(logging.WARNING):
        for text in (
            PRINTED,
            f"arch: {PRINTED}, 93.1",
            f"Structure(4 nodes with {PRINTED})",
            wanted.to_json(),
            f"Genotype(part={flat})",
            f"{{'part': {[list(node) for node in NODES]}}}".replace("Pair(operation=", "(").replace("source=", ""),
        ):
            assert parse(text) == wanted
    assert caplog.messages == []
    assert str(wanted) == PRINTED
    wanted.check_operations({"skip_connect", "nor_conv_1x1", "nor_conv_3x3"})
    assert parse(TEXT) == written_out()


@pytest.mark.usefixtures("more_kinds")
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ([("a", 0), ("a", 0), ("a", 0)], r"node 2 of the part cell reads nodes \[0, 0\]; .* each of nodes 0 to 1 once"),
        ([("a", 0), ("a", 0)], r"part has 2 pairs; expected 3 for 2 nodes"),
        ([[("a", 0)], [("a", 1)]], r"node 2 of the part cell reads nodes \[1\]; in a genotype of kind 'bench'"),
    ],
)
def test_a_node_that_must_read_every_earlier_one_is_refused_with_fewer(cell, message):
    register_kind(bench)
    with pytest.raises(UserError, match=message):
        from_pairs("bench", {"part": (cell, None)})


def sparse():
    return Kind(
        "sparse", ("left", "right"), input_nodes=2, inputs_per_node=2, missing_nodes=True, triples=("node", "source")
    )


@pytest.mark.usefixtures("more_kinds")
def test_a_kind_may_leave_nodes_out_and_name_the_order_of_triples():
    register_kind(sparse)
    left = [("a", 2, 0), ("b", 2, 1), ("c", 4, 0), ("d", 5, 2)]  # node 3 is missing
    read = parse(f"Genotype(left={left}, left_concat=[2, 4, 5], right=[('a', 2, 0)], right_concat=[2])")
    assert read.cells["left"].nodes == ((Pair("a", 0), Pair("b", 1)), (), (Pair("c", 0),), (Pair("d", 2),))
    assert read.cells["right"].nodes == ((Pair("a", 0),),)
    assert parse(read.to_json()) == parse(str(read)) == read
    with pytest.raises(UserError, match="concatenates node 3, which is missing"):
        parse(f"Genotype(left={left}, left_concat=[2, 3, 4, 5], right=[('a', 2, 0)], right_concat=[2])")
    with pytest.raises(UserError, match="node 5 of the left cell reads node 3, which is missing"):
        parse(
            f"Genotype(left={[*left[:3], ('d', 5, 3)]}, left_concat=[2, 4, 5], right=[('a', 2, 0)], right_concat=[2])"
        )


@pytest.mark.usefixtures("more_kinds")
def test_a_taken_name_is_refused_and_both_places_are_named():
    def mine():
        return Kind("cnn", ("one",), input_nodes=1, inputs_per_node=1)

    with pytest.raises(UserError, match=r"genotype kind 'cnn' .*mine.*already taken by darts_pl\.genotype\.cnn\.cnn"):
        register_kind(mine)


@pytest.mark.usefixtures("more_kinds")
@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"normal", "normal_concat", "reduce", "reduce_concat"}, "cnn"),
        ({"recurrent", "concat"}, "rnn"),
        ({"left", "left_concat", "right", "right_concat"}, "sparse"),
        ({"part"}, "bench"),
    ],
)
def test_the_fields_tell_the_kind(fields, kind):
    register_kind(bench)
    register_kind(sparse)
    first = KINDS.get(kind).input_nodes
    pairs = [("a", 0)] * (1 if kind in ("rnn", "bench") else 2)
    values = {name: [first] if "concat" in name else pairs for name in fields}
    assert parse(str(values)).kind == kind


NASBENCH_301 = {
    "edge_normal_0": "max_pool_3x3",
    "edge_normal_1": "sep_conv_5x5",
    "inputs_node_normal_3": "0_2",
    "edge_normal_2": "skip_connect",
    "edge_normal_4": "dil_conv_3x3",
    "inputs_node_normal_4": "1_3",
    "edge_normal_6": "avg_pool_3x3",
    "edge_normal_8": "sep_conv_3x3",
    "inputs_node_normal_5": "3_4",
    "edge_normal_12": "dil_conv_5x5",
    "edge_normal_13": "skip_connect",
}
#: The same cell twice, as pairs: edges are numbered (2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 0), ...
AS_PAIRS = [
    ("max_pool_3x3", 0),
    ("sep_conv_5x5", 1),
    ("skip_connect", 0),
    ("dil_conv_3x3", 2),
    ("avg_pool_3x3", 1),
    ("sep_conv_3x3", 3),
    ("dil_conv_5x5", 3),
    ("skip_connect", 4),
]


def configuration(prefix):
    both = NASBENCH_301 | {name.replace("normal", "reduce"): value for name, value in NASBENCH_301.items()}
    return {f"{prefix}{name}": value for name, value in both.items()}


LONG = configuration("NetworkSelectorDatasetInfo:darts:")
CONFIGURATIONS = {
    "dictionary": str(LONG),
    "with settings beside it": str(
        {"OptimizerSelector:sgd:momentum": 0.9, **LONG, "CreateImageDataLoader:batch_size": 96}
    ),
    "results file": '{"budget": 100, "optimized_hyperparamater_config": '
    + str(LONG).replace("'", '"')
    + ', "info": [{}]}',
    "short keys": str(configuration("")),
    "absent edges": str({**LONG, "NetworkSelectorDatasetInfo:darts:edge_normal_3": None}),
    "keys of yahpo": str(configuration("NetworkSelectorDatasetInfo_COLON_darts_COLON_")),
    "ConfigSpace": f"Configuration(values={LONG})",
    "older ConfigSpace": "Configuration:\n" + "".join(f"  {name}, Value: '{value}'\n" for name, value in LONG.items()),
    "arguments": "Namespace(" + ", ".join(f"{name}={value!r}" for name, value in configuration("").items()) + ")",
    "yaml": "\n".join(f"{name}: {value}" for name, value in LONG.items()),
}


@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_a_configuration_of_nasbench_301_is_read(text):
    wanted = from_pairs("cnn", {name: (AS_PAIRS, [2, 3, 4, 5]) for name in ("normal", "reduce")})
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs_node_normal_4": "0_1"}, r"node 4 of the normal cell has edges from nodes \[1, 3\] and .* is '0_1'"),
        ({"edge_normal_4": None}, r"node 3 of the normal cell has edges from nodes \[0\]"),
        ({"inputs_node_normal_5": "3"}, r"node 5 of the normal cell .* is '3'; a NAS-Bench-301 node reads two"),
        ({"edge_normal_14": "skip_connect"}, "node 6 of the normal cell has edges from nodes"),
    ],
)
def test_a_configuration_whose_edges_and_inputs_differ_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        parse(str(configuration("") | changes))


def test_two_configurations_in_one_text_are_refused():
    with pytest.raises(UserError, match="edge_normal_0 is both 'max_pool_3x3' and 'skip_connect'; give one"):
        parse(f"{configuration('')}\n{configuration('') | {'edge_normal_0': 'skip_connect'}}")


def test_none_is_refused_with_the_reason_where_the_kind_does_not_allow_it():
    known = {"sep_conv_3x3", "skip_connect", "sep_conv_5x5", "max_pool_3x3", "avg_pool_3x3"}
    genotype = parse(TEXT.replace("('avg_pool_3x3', 1)", f"({NONE!r}, 1)"))
    with pytest.raises(
        UserError, match=r"^genotype: 'none' in the reduce cell passes nothing on, and kind 'cnn' does"
    ) as caught:
        genotype.check_operations(known | {NONE})
    assert str(caught.value).endswith("leave these pairs out and add reduce_inputs=[2, 1]")
    parse(TEXT.replace(", ('avg_pool_3x3', 1)", "")[:-1] + ", reduce_inputs=[2, 1])").check_operations(known)
    empty = parse("Genotype(recurrent=[('none', 0)], concat=[1])")
    with pytest.raises(UserError, match="kind 'rnn' does not allow it; node 1 would read nothing without it"):
        empty.check_operations({"relu"})
