"""NAS-Bench-201 as a search space: what it draws, selects, mixes and refuses."""

import re
from collections import Counter
from pathlib import Path

import pytest
import torch

from darts_pl.errors import UserError
from darts_pl.genotype import parse
from darts_pl.report import cell_graph, cell_text
from darts_pl.selection import one_path, random_genotype, strongest
from darts_pl.spaces import SPACES, build, build_space, count_parameters, space_of
from darts_pl.spaces.nasbench201 import (
    OPERATIONS,
    NasBench201,
    NasBench201Network,
    NasBench201Supernet,
    cell_of,
    genotype_of,
)

PACKAGE = Path(__file__).parents[3] / "darts_pl"
SPACE = build_space("nasbench201", OPERATIONS, 3)
TEXT = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"


def small(**choices):
    sizes = {"channels": 4, "cells": 1, "classes": 3} | choices
    return NasBench201Supernet(SPACE, **sizes)


def test_every_cell_of_the_benchmark_is_a_genotype_whose_texts_and_json_come_back():
    table = NasBench201()
    for number in range(len(table)):
        genotype = genotype_of(table.cell(number))
        assert parse(str(genotype)) == genotype
        assert table.number(str(genotype)) == number
        if number % 50 == 0:
            assert parse(genotype.to_json()) == genotype
            assert table.number(genotype) == number


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_text_is_read_with_and_without_quotes_and_blanks(quote):
    assert cell_of(parse(f" {quote}{TEXT.replace('+', ' + ')}{quote} ")) == (3, 0, 4, 1, 2, 0)


def test_every_operation_is_drawn_on_every_edge_equally_often():
    drawn = [cell_of(random_genotype(SPACE, seed)) for seed in range(2000)]
    for edge in range(6):
        counts = Counter(cell[edge] for cell in drawn)
        # A fifth of 2,000 draws, within four standard deviations of a binomial distribution.
        assert all(abs(counts[operation] - 400) < 4 * (2000 * 0.2 * 0.8) ** 0.5 for operation in range(5))


def test_an_edge_whose_strongest_candidate_is_none_has_none():
    weights = torch.full((6, 5), 0.1)
    for edge, operation in enumerate((0, 3, 0, 1, 4, 2)):
        weights[edge, operation] = 0.6
    assert cell_of(strongest(SPACE, {"cell": weights})) == (0, 3, 0, 1, 4, 2)


def test_the_supernet_on_one_path_computes_what_the_final_network_computes():
    genotype = parse(TEXT)
    supernet = small().double().train()
    network = build(genotype, channels=4, cells=1, classes=3).double().train()
    theirs = network.state_dict()
    for name, values in supernet.state_dict().items():
        if name in theirs:
            theirs[name].copy_(values)
    for number, operation in ((0, "nor_conv_3x3"), (4, "nor_conv_1x1")):
        source, target = SPACE.cells["cell"].edges[number]
        place = SPACE.cells["cell"].leaving(source).index(number)
        for layer in (0, 2, 4):
            wide = supernet.cells[layer].mixed[source].operations[operation].op[1].weight
            theirs[f"cells.{layer}.layers.{number}.op.1.weight"].copy_(wide.chunk(3 - source)[place].detach())
        assert target in (1, 3)
    network.load_state_dict(theirs)
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    mixing = one_path(SPACE, genotype, supernet.alphas["cell"])
    torch.testing.assert_close(supernet(images, mixing), network(images))


@pytest.mark.parametrize(("text", "message"), [
    ("|skip_connect~0|", "its cell cell has 1 nodes, the search's 3"),
    (TEXT.replace("none~2", "avg_pool_3x3~2"), "'avg_pool_3x3' is no candidate of edge"),
])  # fmt: skip
def test_a_genotype_that_the_search_does_not_hold_has_no_path(text, message):
    space = build_space("nasbench201", OPERATIONS[:4], 3)
    with pytest.raises(UserError, match=message):
        one_path(space, parse(text), torch.zeros(1))


def test_batch_norm_in_cells_uses_the_batch_also_in_an_evaluation_unless_statistics_are_tracked():
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    norms = {}
    for tracked in (False, True):
        torch.manual_seed(0)
        supernet = small(track_statistics=tracked).double().eval()
        norms[tracked] = [name for name in supernet.state_dict() if "running" in name and ".mixed." in name]
        logits = supernet(images, supernet.mixing())
        alone = torch.cat([supernet(image[None], supernet.mixing()) for image in images])
        assert torch.allclose(logits, alone) == tracked
    assert not norms[False]
    assert len(norms[True]) == 2 * 2 * 9  # mean and variance of two convolutions in three cells with three sources


def test_a_cell_with_other_nodes_is_searched_but_not_in_the_table():
    space = build_space("nasbench201", OPERATIONS, 4)
    supernet = NasBench201Supernet(space, channels=2, cells=1, classes=3)
    assert supernet.alphas["cell"].shape == (10, 5)
    genotype = random_genotype(space, 0)
    assert parse(str(genotype)) == genotype
    assert not space_of(genotype.kind).table.covers(genotype)
    assert isinstance(build(genotype, channels=2, cells=1, classes=10), NasBench201Network)


def test_maps_of_odd_size_and_grey_images_go_through_and_back():
    supernet = small(in_channels=1)
    outcome = supernet.loss((torch.randn(3, 1, 9, 11), torch.tensor([0, 2, 1])), supernet.mixing())
    gradients = torch.autograd.grad(outcome.loss, list(supernet.weights().values()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert outcome.outputs.shape == (3, 3)


def test_published_sizes_are_those_of_the_table():
    table = NasBench201()
    for number in (6111, 11472, 1835):
        entry = table.lookup(number)
        sizes = SPACES.get("nasbench201").published_sizes(genotype_of(entry.cell))
        assert sizes == {"nasbench201": (entry.parameters, entry.multiply_adds)}


def test_the_sizes_of_a_network_are_read_from_its_tensors():
    network = build(parse(TEXT), channels=3, cells=2, classes=7, in_channels=1)
    sizes = SPACES.get("nasbench201").sizes_of(network.state_dict())
    assert sizes == {"channels": 3, "cells": 2, "classes": 7, "in_channels": 1}
    assert count_parameters(build(parse(TEXT), **sizes)) == count_parameters(network)
    with pytest.raises(UserError, match="no network of NAS-Bench-201"):
        SPACES.get("nasbench201").sizes_of({"stem.0.weight": torch.zeros(3, 3, 3, 3)})


def test_a_drawing_has_the_benchmarks_nodes_and_no_arrow_for_none():
    graph = cell_graph(parse(TEXT), "cell")
    arrows = [(graph.nodes[edge.source].name, graph.nodes[edge.target].name, edge.operation) for edge in graph.edges]
    assert arrows == [
        ("c_{k-1}", "0", None),
        ("0", "1", "nor_conv_3x3"),
        ("1", "2", "avg_pool_3x3"),
        ("0", "3", "skip_connect"),
        ("1", "3", "nor_conv_1x1"),
        ("3", "c_{k}", None),
    ]
    assert "  c_{k}  = node 3" in cell_text(parse(TEXT))


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (["none", "sep_conv_3x3"], "'sep_conv_3x3' is no operation of NAS-Bench-201; known: none, skip_connect"),
        (["none"], "hold no operation"),
    ],
)
def test_candidates_that_are_not_of_the_space_are_refused(candidates, message):
    with pytest.raises(UserError, match=message):
        build_space("nasbench201", candidates, 3)


def test_nothing_in_the_program_compares_the_name_of_a_space_or_of_a_kind():
    names = "|".join([*SPACES, *(SPACES.get(name).kind for name in SPACES)])
    compared = re.compile(rf"(==|!=|\bin \()\s*['\"]({names})['\"]")
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if compared.search(line)
    ]
    # The two networks of the DARTS paper each refuse genotypes that they cannot build.
    assert [place for place in found if not place.startswith(("spaces/cnn/", "spaces/rnn/"))] == []


def test_only_what_reports_reads_a_table():
    """No rule, schedule, stage, observer or strategy has a way to a table, but by the evaluator that asks for it."""
    readers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"(?<!rich)\.table\b|NasBench201\(\)|import NasBench201\b", path.read_text(encoding="utf-8"))
        and not path.is_relative_to(PACKAGE / "spaces")
    }
    assert readers == {
        "modules/search.py",
        "strategies/space_table.py",
        "tasks/correlation/known_scores.py",
        "tasks/execution/next_commands.py",
        "tasks/lookup.py",
        "tasks/retrain.py",
        "tasks/search.py",
    }
