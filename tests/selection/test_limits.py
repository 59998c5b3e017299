"""Magnitude within limits on the final network's size, and on skip connections."""

import functools
import itertools
import random
from dataclasses import replace

import pytest
import torch

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, CellGenotype, Genotype, Pair
from darts_pl.latency import LatencyTable, Repeats, Row, Spread, measure_table, milliseconds
from darts_pl.selection import (
    MagnitudeWithin,
    MagnitudeWithinSettings,
    Size,
    SkipLimit,
    SkipLimitSettings,
    Trials,
    magnitude,
)
from darts_pl.spaces import build, build_space, count_multiply_adds, count_parameters
from tests.bare import Bare
from tests.latency.fake import fake_networks

CANDIDATES = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
#: By space, few enough candidates of each edge to go through all genotypes of 1 node, or of 2 of NAS-Bench-201.
FEW = {
    "cnn": (CANDIDATES, ("none", "skip_connect", "sep_conv_3x3")),
    "nasbench201": (("none", "skip_connect", "nor_conv_3x3"),) * 3,
}
NODES = {"cnn": 1, "nasbench201": 2}


@functools.cache
def measure(genotype):
    if genotype.kind == "nasbench201":
        network = build(genotype, channels=4, cells=1, classes=3)
    else:
        network = build(genotype, init_channels=4, layers=3, classes=3, auxiliary=False)
    return Size(count_parameters(network), count_multiply_adds(network, 3, 16, 16))


def bare(seed, nodes=2, candidates=CANDIDATES, space="cnn"):
    torch.manual_seed(seed)
    return Bare(build_space(space, candidates, nodes), alpha_scale=1.0)


def trials_of(net, lines=None, networks=None):
    return Trials(
        net,
        list,
        lambda outcome, batch: (0, None),
        size=measure,
        networks=networks,
        tell=None if lines is None else lines.append,
    )


def within(folder=None, **limits):
    """The rule with these limits, and the table of latencies in `folder`."""
    names = ("max_parameters", "max_multiply_adds", "max_latency_ms")
    latency = None if folder is None else str(folder)
    return MagnitudeWithin(MagnitudeWithinSettings(**dict.fromkeys(names) | limits, latency=latency))


def log_weight(net, genotype):
    total = 0.0
    for name, cell in genotype.cells.items():
        space, weights = net.space.cells[name], torch.softmax(net.alphas[name].detach(), 1)
        for target, pairs in zip(space.targets, cell.nodes, strict=True):
            for operation, source in pairs:
                edge = space.edges.index((source, target))
                total += weights[edge, space.candidates[edge].index(operation)].log().item()
    return total


def every_genotype(net):
    """All genotypes of one node per cell, or of a NAS-Bench-201 cell of two."""
    if net.space.kind == "nasbench201":
        for a, b, c in itertools.product(*net.space.cells["cell"].candidates):
            nodes = ((Pair(a, 0),), (Pair(b, 0), Pair(c, 1)))
            yield Genotype("nasbench201", {"cell": CellGenotype(nodes, concat=(2,))})
        return
    cells = [
        CellGenotype(((Pair(a, 0), Pair(b, 1)),), concat=(2,))
        for a, b in itertools.product(*(names[1:] for names in net.space.cells["normal"].candidates))
    ]
    for normal, reduce in itertools.product(cells, repeat=2):
        yield Genotype("cnn", {"normal": normal, "reduce": reduce})


@pytest.mark.parametrize("space", ["cnn", "nasbench201"])
def test_the_strongest_genotype_within_the_limits_is_that_of_a_search_through_all_of_them(space):
    net = bare(2, NODES[space], FEW[space], space)
    table = [(log_weight(net, one), *measure(one), one) for one in every_genotype(net)]
    parameters, multiply_adds = (sorted({row[which] for row in table}) for which in (1, 2))
    middle = multiply_adds[len(multiply_adds) // 2]
    for limit, other in [
        *((one, None) for one in parameters),
        (None, middle),
        *((one, middle) for one in parameters[2:]),
    ]:
        fitting = [row for row in table if row[1] <= (limit or 1e9) and row[2] <= (other or 1e9)]
        rule = within(max_parameters=limit, max_multiply_adds=other)
        found = rule(net, trials_of(net))
        size = measure(found)
        assert size.parameters <= (limit or 1e9)
        assert size.multiply_adds <= (other or 1e9)
        assert log_weight(net, found) == pytest.approx(max(row[0] for row in fitting), rel=1e-9)


def test_sizes_add_up_in_cells_with_several_nodes_where_inputs_are_halved_and_other_sources_are_not():
    net = bare(4, nodes=3)
    largest, lines = measure(magnitude(net)).parameters, []
    for fraction in (0.6, 0.8, 0.9):
        trials = trials_of(net, lines)
        limit = int(fraction * largest)
        found = within(max_parameters=limit)(net, trials)
        recorded = trials.journal["limits"]
        assert recorded["parameters"] == measure(found).parameters <= limit
        assert recorded["unlimited_parameters"] == largest
        lost = log_weight(net, magnitude(net)) - log_weight(net, found)
        assert recorded["log_likelihood_lost"] == pytest.approx(lost, rel=1e-6)
        assert f"the limits cost {lost:.3f} of the log likelihood" in lines[-1]


def test_without_a_limit_that_binds_it_is_magnitude():
    net = bare(5, nodes=3)
    rule = within(max_parameters=10**9)
    assert rule(net, trials_of(net)) == magnitude(net)


def test_limits_below_the_smallest_network_are_refused_with_its_size():
    net = bare(2, NODES["cnn"], FEW["cnn"])
    sizes = [measure(one) for one in every_genotype(net)]
    least = min(size.parameters for size in sizes)
    rule = within(max_parameters=least - 1)
    with pytest.raises(
        UserError, match=f"max_parameters={least - 1}: the smallest final network .* has {least} "
    ) as caught:
        rule(net, trials_of(net))
    assert len(str(caught.value).splitlines()) == 1
    cheap = min(size.multiply_adds for size in sizes)
    rule = within(max_multiply_adds=cheap - 1)
    with pytest.raises(UserError, match=f"max_multiply_adds={cheap - 1}: the smallest final network .* has {cheap} "):
        rule(net, trials_of(net))


def synthetic_table(networks, seed):
    """A table with arbitrary latencies for every class of pairs; skip connections, which are small, take long."""
    draw = random.Random(seed)
    rows, pairs = {}, {}
    for name, cell in networks.cells.cells.items():
        for operation in dict.fromkeys(one for names in cell.candidates for one in names):
            for from_input in (True, False):
                row = Row(operation, 1, len(rows) + 1, 8, 8)
                time = draw.choice([draw.randrange(10**7), 10**6]) + (10**7 if operation == "skip_connect" else 0)
                rows[row] = Spread(time, time, time, 3)
                pairs[name, operation, from_input] = () if operation == "none" else (row, row)
    base = Spread(777_777, 777_777, 777_777, 3)
    return LatencyTable(networks.identity, Repeats(1, 2, 0)._asdict(), rows, pairs, base, 1_001, {})


def latency_by_hand(table, genotype):
    """Base, and for every pair its rows and as many joins, in nanoseconds."""
    inputs, total = KINDS.get(genotype.kind).input_nodes, table.base.median
    for name, cell in genotype.cells.items():
        for operation, source in itertools.chain(*cell.nodes):
            for row in table.pairs[name, operation, source < inputs]:
                total += table.rows[row].median + 1_001
    return total


@pytest.mark.parametrize("space", ["cnn", "nasbench201"])
def test_limits_on_latency_and_size_together_find_what_a_search_through_all_genotypes_finds(space, tmp_path):
    nodes, candidates = NODES[space], FEW[space]
    net, networks = bare(7, nodes, candidates, space), fake_networks(space, candidates, nodes)
    table = synthetic_table(networks, 11)
    table.write(tmp_path)
    every = [(log_weight(net, one), *measure(one), latency_by_hand(table, one)) for one in every_genotype(net)]
    parameters, multiply_adds, times = (sorted({row[which] for row in every}) for which in (1, 2, 3))
    sizes = [None, parameters[1]], [None, multiply_adds[len(multiply_adds) // 2]]
    refused = 0
    for time, one, two in itertools.product(times[:: max(1, len(times) // 6)], *sizes):
        limits = one or 10**12, two or 10**12, time
        fitting = [row[0] for row in every if all(value <= most for value, most in zip(row[1:], limits, strict=True))]
        rule = within(tmp_path, max_latency_ms=milliseconds(time), max_parameters=one, max_multiply_adds=two)
        trials = trials_of(net, networks=lambda: networks)
        if not fitting:
            least = min(row[3] for row in every if row[1] <= limits[0] and row[2] <= limits[1])
            with pytest.raises(UserError, match=rf"{least / 1e6:.6f} ms of predicted latency; give at least") as caught:
                rule(net, trials)
            assert len(str(caught.value).splitlines()) == 1
            refused += 1
            continue
        found = rule(net, trials)
        assert log_weight(net, found) == pytest.approx(max(fitting), rel=1e-9)
        assert latency_by_hand(table, found) <= time
        assert trials.journal["limits"]["latency_ms"] == latency_by_hand(table, found) / 1e6
    assert refused or space == "nasbench201"  # its smallest network, of "none" alone, is also the fastest
    shortest = milliseconds(times[0])
    with pytest.raises(UserError, match=rf"select\.max_latency_ms=0\.000100: the smallest .* has {shortest:.6f} ms"):
        within(tmp_path, max_latency_ms=1e-4)(net, trials_of(net, networks=lambda: networks))


def test_the_prediction_is_compared_with_the_measured_network(tmp_path):
    net, networks, lines = bare(5, nodes=2), fake_networks("cnn", CANDIDATES, 2), []
    table, _ = measure_table(networks, Repeats(1, 2, 0))
    table.write(tmp_path)
    predicted = latency_by_hand(replace(table, join=1_001), magnitude(net)) - 1_001 * 20  # 4 pairs in each of 5 cells
    limit = milliseconds(predicted)
    chosen = magnitude(net)
    alone = replace(networks, build=lambda one: Twice(networks.build(one)) if one == chosen else networks.build(one))
    every = replace(networks, build=lambda one: Twice(networks.build(one)))
    for slower, ratio in ((alone, 1), (every, 2)):
        trials = trials_of(net, lines, lambda slower=slower: slower)
        assert within(tmp_path, max_latency_ms=limit)(net, trials) == chosen
        recorded = trials.journal["limits"]
        assert recorded["latency_ms"] == limit
        assert recorded["measured_latency_ms"] == pytest.approx(2 * limit, rel=1e-5)
        assert recorded["reference_ratio"] == pytest.approx(ratio, rel=1e-3)
        assert lines[-1].startswith(f"latency: {limit:.3f} ms predicted, {2 * limit:.3f} ms measured (quartiles")
        assert "error -50.0%" in lines[-1]
    assert "reference networks" not in lines[1]
    assert "now take 2.00 times as long: with this factor, error" in lines[-1]
    assert lines[-1].endswith("0.0%")


class Twice(torch.nn.Module):
    """A network that computes everything twice."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        self.network(x)
        return self.network(x)


def test_a_table_of_other_widths_is_refused_by_the_rule(tmp_path):
    net, networks = bare(5, nodes=2), fake_networks("cnn", CANDIDATES, 2)
    synthetic_table(networks, 0).write(tmp_path)
    wider = replace(networks, sizes={**networks.sizes, "init_channels": 36})
    with pytest.raises(UserError, match="a table with init_channels 4, but the final network has init_channels 36"):
        within(tmp_path, max_latency_ms=5.0)(net, trials_of(net, networks=lambda: wider))
    with pytest.raises(UserError, match="which are not known here"):
        within(tmp_path, max_latency_ms=5.0)(net, trials_of(net))


def with_alphas(rows):
    net = bare(0, nodes=2, candidates=("skip_connect", "sep_conv_3x3"))
    with torch.no_grad():
        for name in net.alphas:
            net.alphas[name].copy_(torch.tensor(rows))
    return net


def test_the_weakest_skips_of_the_normal_cell_go_until_few_enough_are_left():
    # Skips with weights 0.88 and 0.73; 0.95, 0.62 and 0.5, which is also that of its convolution.
    net = with_alphas([[2.0, 0.0], [1.0, 0.0], [3.0, 0.0], [0.5, 0.0], [0.0, 0.0]])
    skip, conv = "skip_connect", "sep_conv_3x3"
    # By hand: first 0.62 goes, which puts the skip of 0.5 in its place, then that one, then 0.73, 0.88 and 0.95.
    expected = {
        4: (((skip, 0), (skip, 1)), ((skip, 0), (skip, 1))),
        3: (((skip, 0), (skip, 1)), ((skip, 0), (conv, 2))),
        2: (((skip, 0), (conv, 1)), ((skip, 0), (conv, 2))),
        1: (((conv, 1), (conv, 0)), ((skip, 0), (conv, 2))),
        0: (((conv, 1), (conv, 0)), ((conv, 2), (conv, 1))),
    }
    for most, nodes in expected.items():
        found = SkipLimit(SkipLimitSettings(max_skips=most, later=False))(net, trials_of(net))
        assert found.cells["normal"].nodes == nodes
        assert found.cells["reduce"].nodes == expected[4]
    assert SkipLimit(SkipLimitSettings(max_skips=4, later=False))(net, trials_of(net)) == magnitude(net)


def test_a_limit_that_other_candidates_cannot_meet_is_refused():
    net = bare(0, nodes=1, candidates=[["skip_connect"], ["skip_connect", "sep_conv_3x3"]])
    with pytest.raises(UserError, match=r"select\.max_skips=0: 1 edges of the normal cell have no other candidate"):
        SkipLimit(SkipLimitSettings(max_skips=0, later=False))(net, trials_of(net))
