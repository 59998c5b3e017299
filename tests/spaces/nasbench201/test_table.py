"""The table of NAS-Bench-201: published figures, ranks by definition, and how its file is made."""

import runpy
from importlib import resources

import numpy as np
import pytest

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Pair
from darts_pl.spaces.nasbench201 import (
    ACCURACIES,
    NasBench201,
    build_table,
    describe,
    describe_top,
    parse_text,
    summary,
    to_text,
)
from darts_pl.spaces.nasbench201 import table as table_module
from darts_pl.spaces.nasbench201.columns import LAYOUT, NO_RUN, UNITS_PER_PERCENT

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
RESNET = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
TABLE = resources.files("darts_pl.spaces.nasbench201") / "table.npz"


@pytest.fixture(scope="module")
def table():
    return NasBench201()


@pytest.fixture
def source():
    """The benchmark's arrays as `build_table` reads them, made of the package's table in float32."""
    with np.load(TABLE, allow_pickle=False) as archive:
        arrays = {build_table.NAMES_IN_SOURCE.get(name, name): archive[name] for name in LAYOUT}
    for name, unit in UNITS_PER_PERCENT.items():
        counts = arrays[name].astype(np.float64)
        counts[counts == NO_RUN] = np.nan
        arrays[name] = (counts / unit).astype(np.float32)
    names = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    ends = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    return {**arrays, "op_names": np.array(names), "edges": np.array(ends)}


def test_the_best_cell_has_its_published_figures(table):
    entry = table.lookup(BEST)
    assert entry.number == 6111
    assert round(entry.cifar10_test, 4) == 94.3733
    assert round(entry.cifar10_valid, 4) == 91.6067
    assert entry.parameters == 1_073_466
    assert round(entry.multiply_adds / 1e6, 2) == 153.27
    assert table.rank(entry.number) == 1
    assert table.rank(entry.number, by="cifar10_valid") == 1
    assert table.regret(entry.number) == 0


def test_the_cell_of_skips_has_the_accuracy_at_which_darts_collapses(table):
    entry = table.lookup(SKIPS)
    assert entry.number == 1835
    assert round(entry.cifar10_test, 2) == 54.30
    assert table.regret(SKIPS) == pytest.approx(94.3733 - 54.2967, abs=1e-4)


def test_the_resnet_like_cell_is_where_the_benchmark_has_it(table):
    entry = table.lookup(11472)
    assert entry.text == RESNET
    assert entry.parameters == 559_386
    assert round(entry.multiply_adds / 1e6, 2) == 78.56
    assert abs(entry.cifar10_test - 93.97) < 0.1  # an earlier version of the benchmark
    assert len(entry.cifar10_valid_runs) == 2


def test_the_whole_table_has_its_published_figures(table):
    test = table.column("cifar10_test")
    assert (round(test.mean(), 2), round(test.std(), 2)) == (87.06, 12.93)
    assert (int((test == 10).sum()), int((test >= 94).sum())) == (341, 42)
    assert round(table.column("cifar100_test").max(), 4) == 73.5133
    assert round(table.column("imagenet16_test").max(), 4) == 47.3111
    entries = [table.lookup(number) for number in range(len(table))]
    assert sum(entry.doubtful_size for entry in entries) == 204
    assert len({entry.iso_class for entry in entries}) == 6_466


def test_every_number_text_and_cell_names_the_same_entry(table):
    cells = {table.cell(number) for number in range(len(table))}
    assert len(cells) == len(table) == 15_625
    for number in range(0, len(table), 61):
        cell = table.cell(number)
        assert table.number(to_text(cell)) == table.number(cell) == table.number(str(number)) == number
        assert parse_text(table.lookup(number).text) == cell
    assert table.number(f"'{BEST}'") == table.number('"6111"') == table.number(np.int64(6111)) == 6111


def test_a_genotype_of_three_nodes_is_looked_up_with_absent_inputs_as_none(table):
    nodes = (
        (Pair("nor_conv_3x3", 0),),
        (Pair("nor_conv_3x3", 1),),
        (Pair("skip_connect", 2), Pair("skip_connect", 0)),
    )
    assert table.number(Genotype("rnn", {"recurrent": CellGenotype(nodes, concat=(3,))})) == 11472


@pytest.mark.parametrize("by", ACCURACIES)
def test_rank_percentile_and_regret_follow_their_definitions(table, by):
    values = [getattr(table.lookup(number), by) for number in range(0, len(table), 97)]
    column = table.column(by)
    assert values == column[::97].tolist()
    by_value = sorted(column.tolist(), reverse=True)
    for number in (0, 1835, 6111, 11472, 15624):
        value = column[number]
        assert table.rank(number, by) == by_value.index(value) + 1
        worse = len(by_value) - by_value.index(value) - by_value.count(value)
        assert table.percentile(number, by) == pytest.approx(100 * worse / 15_624)
        assert table.regret(number, by) == by_value[0] - value


def test_twins_are_the_other_cells_of_the_class(table):
    entry = table.lookup(RESNET)
    assert entry.twins
    for number in entry.twins:
        twin = table.lookup(number)
        assert twin.iso_class == entry.iso_class
        assert sorted([number, *twin.twins]) == sorted([entry.number, *entry.twins])
    assert not table.lookup(SKIPS).twins


def test_the_best_cells_come_best_first_and_keep_to_the_limits(table):
    assert [entry.number for entry in table.top(2)] == [6111, 13714]  # equally good
    top = table.top(50, by="cifar100_valid", max_parameters=500_000, max_multiply_adds=60e6)
    values = [entry.cifar100_valid for entry in top]
    assert values == sorted(values, reverse=True)
    assert all(entry.parameters <= 500_000 and entry.multiply_adds <= 60e6 for entry in top)
    allowed = [
        entry.cifar100_valid
        for entry in map(table.lookup, range(len(table)))
        if entry.parameters <= 500_000 and entry.multiply_adds <= 60e6
    ]
    assert values == sorted(allowed, reverse=True)[:50]
    smallest = table.top(20_000, max_parameters=73_306)
    assert {entry.parameters for entry in smallest} == {73_306}
    assert len(smallest) == 3**6  # none, skip_connect and avg_pool_3x3 have no weights


def text(broken):
    return RESNET.replace("|none~0", broken)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (15_625, "cell number 15625: must be 0 to 15624"),
        (-1, "cell number -1: must be 0 to 15624"),
        ("15625", "cell number 15625: must be 0 to 15624"),
        (1.5, "cell 1.5: give its text, its number or its six operations"),
        (text("|conv~0"), "unknown operation 'conv'"),
        (text(""), "inputs of node 2: 1 given, 2 needed"),
        ("|skip_connect~0|", "it has 2 nodes with the input; the cells of the benchmark have 4"),
        ((1, 1, 1), "3 operations; it needs 6"),
        (
            Genotype("rnn", {"recurrent": CellGenotype(((Pair("skip_connect", 0),),), (1,))}),
            "the cell has 2 nodes with the input; the table knows those with 4",
        ),
    ],
)
def test_what_names_no_cell_is_refused_in_one_line(table, named, message):
    with pytest.raises(UserError) as caught:
        table.lookup(named)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "top=0: must be at least 1"),
        ({"n": 1, "by": "mnist_test"}, "by=mnist_test: the table has no such accuracy; known: cifar10_valid"),
        ({"n": 1, "max_parameters": 1000}, "max_parameters=1000: the smallest network has 73306"),
        ({"n": 1, "max_multiply_adds": 1e6}, "max_multiply_adds=1000000.0: the smallest network has 7783050"),
    ],
)
def test_a_question_for_the_best_cells_that_has_no_answer_is_refused(table, arguments, message):
    with pytest.raises(UserError, match=message):
        table.top(**arguments)


def test_the_table_cannot_be_changed_by_who_reads_it(table):
    with pytest.raises(ValueError, match="read-only"):
        table.column("cifar10_test")[0] = 100


def test_the_file_is_read_at_the_first_question_and_not_before(monkeypatch):
    reads, load = [], np.load
    monkeypatch.setattr(np, "load", lambda *args, **options: reads.append(args) or load(*args, **options))
    fresh = runpy.run_path(table_module.__file__)["NasBench201"]()
    assert len(fresh) == 15_625
    assert not reads
    assert [fresh.lookup(number).parameters for number in (6111, 1835)] == [1_073_466, 73_306]
    assert len(reads) == 1


def test_the_lines_of_a_cell_show_its_numbers_and_its_twins(table):
    lines = "\n".join(describe(table.lookup(RESNET)))
    for shown in (RESNET, "number 11472", "559,386", "78.56 M", "93.9100", "rank by cifar10_test: 68 of 15,625"):
        assert shown in lines
    assert "0.4633 below the best, number 6111 with 94.3733" in lines
    assert "isomorphic cells, with cifar10_test: 2528 (93.5067), 8649 (93.7850)" in lines
    assert "no cell is better" in "\n".join(describe(table.lookup(13714)))
    doubtful = next(entry for entry in map(table.lookup, range(1000)) if entry.doubtful_size)
    assert "the published size differs" in "\n".join(describe(doubtful, by="imagenet16_valid"))


def test_the_lines_of_the_best_cells_are_one_per_cell_with_their_ranks(table):
    entries = table.top(3, by="cifar100_test", max_parameters=400_000)
    head, *lines = describe_top(entries, by="cifar100_test")
    assert head.split() == ["rank", "cifar100_test", "parameters", "M", "multiply-adds", "number", "cell"]
    for line, entry in zip(lines, entries, strict=True):
        rank, accuracy, parameters, multiply_adds, number, text = line.split()
        assert (int(rank), int(number)) == (table.rank(entry.number, "cifar100_test"), entry.number)
        assert (accuracy, text) == (f"{entry.cifar100_test:.4f}", entry.text)
        assert (parameters, multiply_adds) == (f"{entry.parameters:,}", f"{entry.multiply_adds / 1e6:.2f}")


def test_the_summary_of_a_search_holds_the_numbers_of_its_cell(table):
    found = summary(table.lookup(SKIPS))
    assert {name: round(value, 4) for name, value in found.items()} == {
        "table/cifar10_test": 54.2967,
        "table/cifar10_valid": 39.7693,
        "table/cifar100_test": 15.6067,
        "table/imagenet16_test": 16.3222,
        "table/rank": 15_231,
        "table/percentile": 2.5218,
        "table/regret": 40.0767,
    }


def test_the_file_is_small_and_names_its_source_and_licence():
    content = TABLE.read_bytes()
    assert len(content) <= 800_000
    with TABLE.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        assert "NAS-Bench-201" in str(archive["source"])
        assert "ICLR 2020" in str(archive["source"])
        assert str(archive["licence"]).startswith("MIT License, Copyright (c) since 2019 Xuanyi Dong")
        assert {name: archive[name].dtype.name for name in LAYOUT} == {name: kind for name, (kind, _) in LAYOUT.items()}


def test_the_builder_makes_the_same_arrays_of_the_values_in_float32(source, tmp_path):
    np.savez(tmp_path / "source.npz", **source)
    build_table.main([str(tmp_path / "source.npz"), str(tmp_path / "made.npz")])
    with np.load(tmp_path / "made.npz") as made, TABLE.open("rb") as file, np.load(file) as packaged:
        assert set(made) == set(packaged)
        assert all(np.array_equal(made[name], packaged[name]) for name in made)


@pytest.mark.real_data("nasbench201.npz")
def test_accuracies_differ_from_the_source_by_its_own_rounding_only(real_data, table):
    with np.load(real_data, allow_pickle=False) as arrays:
        made = build_table.compact(dict(arrays))
        for name in ACCURACIES:
            expected = arrays[name].astype(np.float64)
            expected = np.nanmean(expected, axis=1) if expected.ndim == 2 else expected
            assert np.abs(table.column(name) - expected).max() < 5e-6, name
    with TABLE.open("rb") as file, np.load(file) as packaged:
        assert all(np.array_equal(made[name], packaged[name]) for name in made)


def changed(source, name, index, value):
    values = source[name].copy()
    values[index] = value
    return {**source, name: values}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "flops"}, "lacks the arrays flops"),
        (lambda s: {**s, "op_names": s["op_names"][::-1]}, "op_names or edges are in another order"),
        (lambda s: {**s, "flops": s["flops"][:100]}, r"flops has shape \(100,\); expected \(15625,\)"),
        (lambda s: changed(s, "ops", 1, s["ops"][0]), "ops holds 15624 different cells"),
        (lambda s: changed(s, "iso_class", 0, s["iso_class"][1]), "iso_class does not number the classes"),
        (lambda s: changed(s, "cifar100_test", 5, 60.001), "cifar100_test: values are up to 1.0e-03 from a multiple"),
    ],
)
def test_a_file_with_other_values_than_the_benchmarks_is_refused(source, change, message):
    with pytest.raises(UserError, match=message):
        build_table.compact(change(source))


def test_the_builder_explains_its_arguments_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(UserError, match="give two arguments"):
        build_table.main([])
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("text.npz", "absent.npz"):
        with pytest.raises(UserError, match="cannot be read as an npz file"):
            build_table.main([str(tmp_path / name), str(tmp_path / "made.npz")])
    assert not (tmp_path / "made.npz").exists()
