"""The table of latencies and its predictions, on a clock that the operations move."""

import random
import statistics

import pytest

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, parse
from darts_pl.latency import Repeats, Row, Spread, measure_networks, measure_table, reference_genotypes
from darts_pl.spaces import SPACES
from tests.latency.fake import FakeClock, cost, fake_networks

CNN = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3", "dil_conv_5x5")
CELL = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
SPACE_CASES = [("cnn", CNN, 3, 0), ("nasbench201", CELL, 3, 2_000), ("nasbench201", CELL[1:], 2, 0)]


@pytest.mark.parametrize(("space", "candidates", "nodes", "join"), SPACE_CASES)
def test_where_operations_take_fixed_times_the_prediction_is_the_measured_latency(space, candidates, nodes, join):
    networks = fake_networks(space, candidates, nodes, join=join)
    draw = random.Random(3)
    genotypes = [networks.space.draw(networks.cells, draw) for _ in range(8)]
    table, measured = measure_table(networks, Repeats(2, 3, 1), genotypes)
    assert len({one.median for one in measured}) > 1
    for genotype, spread in zip(genotypes, measured, strict=True):
        assert table.predict(genotype) == pytest.approx(spread.median, abs=20)
    assert table.join == pytest.approx(join, abs=1)
    assert table.base.median == pytest.approx(50_000, abs=20)
    again = measure_networks(networks, genotypes[:2], Repeats(2, 2, 0))
    assert [one.median for one in again] == pytest.approx([one.median for one in measured[:2]], abs=2)


def test_the_rows_are_the_maps_of_the_paper_s_layout_in_each_operation():
    # Cells 1 and 3 of 5 halve the map and double the width of 4; images have 16x16 pixels.
    networks = fake_networks("cnn", CNN, 2)
    table, _ = measure_table(networks, Repeats(1, 1, 0))
    inside = [(1, 4, 16, 16), (1, 8, 8, 8), (1, 16, 4, 4)]
    halving = [(2, 8, 16, 16), (2, 16, 8, 8)]
    assert set(table.rows) == {Row(operation, *sizes) for operation in CNN[1:] for sizes in inside + halving}
    assert {row: spread.median for row, spread in table.rows.items()} == {row: cost(*row) for row in table.rows}
    for operation in CNN[1:]:
        for from_input in (True, False):
            assert table.pairs["normal", operation, from_input] == tuple(Row(operation, *one) for one in inside)
        assert table.pairs["reduce", operation, True] == tuple(Row(operation, *one) for one in halving)
        assert table.pairs["reduce", operation, False] == tuple(Row(operation, *one) for one in inside[1:])


PER_EDGE = [
    ["skip_connect", "sep_conv_3x3"],
    ["none", "dil_conv_5x5"],
    ["max_pool_3x3"],
    ["sep_conv_3x3"],
    ["none", "noise"],
]


@pytest.mark.parametrize(
    ("space", "candidates", "nodes"),
    [
        ("cnn", CNN, 4),
        ("cnn", CNN[:2], 1),
        ("cnn", PER_EDGE, 2),
        ("nasbench201", CELL, 3),
        ("nasbench201", CELL[1:3], 1),
    ],
)
def test_every_candidate_of_every_edge_has_its_latency(space, candidates, nodes):
    networks = fake_networks(space, candidates, nodes)
    table, _ = measure_table(networks, Repeats(1, 1, 0))
    kind = KINDS.get(networks.cells.kind)
    for name, cell in networks.cells.cells.items():
        for (source, _), names in zip(cell.edges, cell.candidates, strict=True):
            for operation in names:
                if operation != "none" or kind.none:
                    rows = table.pairs[name, operation, source < kind.input_nodes]
                    assert operation == "none" or rows


def test_reference_genotypes_have_every_operation_at_every_pair_once():
    cells = SPACES.get("cnn").cells(CNN, 4)
    genotypes = reference_genotypes(cells)
    assert len(genotypes) == len(CNN) - 1
    for name in cells.cells:
        for at_one_place in zip(*(one.cells[name].pairs for one in genotypes), strict=True):
            assert sorted(pair.operation for pair in at_one_place) == sorted(CNN[1:])
            assert len({pair.source for pair in at_one_place}) == 1


def test_times_are_medians_with_the_quartiles_of_the_standard_library():
    draw = random.Random(5)
    for count in (2, 3, 10, 31):
        times = [draw.randrange(10**6) for _ in range(count)]
        low, median, high = statistics.quantiles(times, n=4, method="inclusive")
        spread = Spread.of([time * 1e-9 for time in times])
        assert spread[:3] == pytest.approx((median, low, high), abs=0.5)
        assert spread.samples == count
    assert Spread.of([3e-6]) == Spread(3000, 3000, 3000, 1)


def test_rows_are_medians_over_passes_so_that_rare_slow_passes_do_not_count():
    passes = {"number": 0}

    def price(*row):
        passes["number"] += 1
        return cost(*row) * (50 if passes["number"] % 7 == 0 else 1)

    table, _ = measure_table(fake_networks("cnn", CNN, 2, price=price), Repeats(1, 15, 0))
    assert {row: spread.median for row, spread in table.rows.items()} == {row: cost(*row) for row in table.rows}


def test_an_interrupted_pass_is_measured_again():
    clock, passes = FakeClock(), {"number": 0}

    def price(*row):
        passes["number"] += 1
        if passes["number"] % 40 == 0:
            clock.interrupted += 1
            return 10**9
        return cost(*row)

    networks = fake_networks("nasbench201", CELL, 3, price=price, clock=clock)
    table, _ = measure_table(networks, Repeats(1, 10, 0))
    assert clock.interrupted > 10
    assert {(spread.low, spread.high) for spread in table.rows.values()} == {(cost(*row),) * 2 for row in table.rows}


def test_a_space_without_places_for_its_operations_is_refused():
    with pytest.raises(UserError, match="the latency of recurrent networks is not measured"):
        SPACES.get("rnn").check_latency_is_measured()
    for name in ("cnn", "nasbench201"):
        SPACES.get(name).check_latency_is_measured()


def test_operations_are_found_in_the_order_of_the_sources_whatever_the_order_of_the_pairs():
    space = SPACES.get("nasbench201")
    genotype = parse("|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|")
    network = space.network(genotype, channels=4, cells=1, classes=3)
    found = [(one.target, *one.pair) for one in space.computed_pairs(genotype, network)][:4]
    assert found == [(1, "nor_conv_3x3", 0), (2, "avg_pool_3x3", 1), (3, "skip_connect", 0), (3, "nor_conv_1x1", 1)]
