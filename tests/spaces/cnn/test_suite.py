"""The suite of variants: sizes against a count by hand, reduction cells by number, extra skip connections."""

import functools
import itertools

import pytest
import torch
from hydra import compose, initialize_config_dir

from darts_pl import interop
from darts_pl.cli import config_folder
from darts_pl.ops import FactorizedReduce
from darts_pl.selection import random_genotype
from darts_pl.spaces import CellPlan, Classifier, CnnSupernet, FinalCell, Parts, build_space, reductions
from darts_pl.spaces.cnn.supernet import ExtraSkips
from darts_pl.spaces.mixed import MixedEdges
from darts_pl.spaces.skip import Skip
from darts_pl.zoo import published

#: Cells, C, nodes of a cell and reduction cells of the authors' suite.
SHAPES = {"wide": (4, 18, 4, (1, 3)), "deep": (18, 7, 4, (6, 12)), "single": (1, 26, 8, (0,))}
VARIANTS = ("regular", "no_skip", "all_skip")


@functools.cache
def settings(name):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("config", overrides=[f"search={name}", "data=cifar10", "data.path=FILE"])


def supernet_of(name):
    search = settings(name).search
    with torch.device("meta"):
        return CnnSupernet(
            build_space("cnn", [*search.candidates], search.nodes),
            init_channels=search.init_channels,
            layers=search.layers,
            classes=10,
            reductions=search.reductions,
            extra_skip=search.extra_skip,
        )


def by_hand(layers, channels, nodes, at, variant):
    """Parameters of a search network: convolutions without bias, affine BatchNorm in the stem only, a linear head."""
    before = last = 3 * channels
    total = 27 * last + 2 * last
    for layer in range(layers):
        channels *= 2 if layer in at else 1
        total += (before + last) * channels  # 1x1, or two of half the width
        edges = sum(2 + node for node in range(nodes))
        # Two separable convolutions, each twice: 2 (9 C + C^2) and 2 (25 C + C^2); two dilated ones, once each.
        total += edges * (6 * channels**2 + (2 * 9 + 2 * 25 + 9 + 25) * channels)
        halved = {"regular": 1, "no_skip": 0, "all_skip": 2}[variant]  # skip connections of stride 2 have weights
        total += halved * (2 * nodes * channels**2 if layer in at else 0)
        before, last = last, nodes * channels
    return total + 10 * last + 10


@pytest.mark.parametrize(("shape", "variant"), [*itertools.product(SHAPES, VARIANTS)])
def test_a_search_network_of_the_suite_has_the_size_counted_by_hand(shape, variant):
    counted = sum(weight.numel() for weight in supernet_of(f"suite_{shape}_{variant}").weights().values())
    assert counted == by_hand(*SHAPES[shape], variant)
    assert 0.95e6 < counted < 1.08e6  # the three shapes are meant to be equally large, about a million


@pytest.mark.parametrize(("shape", "variant"), [*itertools.product(SHAPES, VARIANTS)])
def test_the_final_network_has_the_shape_of_the_search_network(shape, variant):
    for size in ("", "small_"):
        config = settings(f"suite_{size}{shape}_{variant}")
        for key in ("layers", "reductions", "extra_skip", "init_channels"):
            assert config.train[key] == config.search[key]
        assert config.search.extra_skip == (variant == "all_skip")
        assert ("skip_connect" in config.search.candidates) == (variant != "no_skip")
        assert len(config.search.candidates) == (7 if variant == "no_skip" else 8)
    layers, channels, nodes, at = SHAPES[shape]
    config = settings(f"suite_{shape}_{variant}").search
    assert (config.layers, config.init_channels, config.nodes) == (layers, channels, nodes)
    assert reductions(config.layers, config.reductions) == set(at)


@pytest.mark.parametrize("stride", [1, 2])
def test_an_edge_of_weight_zero_still_adds_its_extra_skip_connection(stride):
    edges = MixedEdges([["sep_conv_3x3", "skip_connect"]] * 3, 4, stride, ExtraSkips(Skip())).double()
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    found = edges(x, torch.zeros(3, 2, dtype=torch.float64))
    if stride == 1:
        assert all(torch.equal(part, x) for part in found)
    else:
        assert isinstance(edges.extra, FactorizedReduce)
        assert torch.equal(torch.cat(found, dim=1), edges.extra(x))
        assert not torch.equal(found[0], found[1])  # every edge has weights of its own


class AddedInput(Skip):
    """Another part that adds something to every edge."""

    def extra(self, channels, stride, edges):
        return torch.nn.AvgPool2d(stride)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_extra_skip_connection_is_added_to_what_another_part_adds(stride):
    torch.manual_seed(0)
    both = ExtraSkips(AddedInput()).extra(4, stride, 3).double()
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    own = both.parts[0](x)
    pooled = torch.nn.functional.avg_pool2d(x, stride)
    assert torch.equal(both(x), own + (pooled if stride == 1 else pooled.repeat(1, 3, 1, 1)))


def test_a_final_edge_adds_its_input_beside_its_operation():
    genotype = published("darts_v2")
    for reduction in (False, True):
        cell = genotype.cells["reduce" if reduction else "normal"]
        plan = CellPlan(6, 6, 4, reduction, halve_before=False)
        final = FinalCell(cell, plan, with_extra_skip=True).double().eval()
        before, last = (torch.randn(2, 6, 8, 8, dtype=torch.float64) for _ in range(2))
        states = [final.preprocess0(before), final.preprocess1(last)]
        edges = iter(zip(final.operations, final.skips, strict=True))
        for node in cell.nodes:
            parts = []
            for pair in node:
                operation, skip = next(edges)
                source = states[pair.source]
                halved = reduction and pair.source < 2
                assert isinstance(skip, FactorizedReduce) == halved
                parts.append(operation(source) + (skip(source) if halved else source))
            states.append(sum(parts))
        torch.testing.assert_close(final(before, last, 0.0), torch.cat([states[node] for node in cell.concat], dim=1))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"layers": 4, "reductions": [1, 3], "extra_skip": True}, [1, 3]),
        ({"layers": 4, "reductions": [], "extra_skip": True}, []),
        ({"layers": 1, "reductions": [0]}, None),  # as in a network of one cell by default
        ({"layers": 5}, None),
    ],
)
def test_a_state_dict_tells_the_reduction_cells_and_the_extra_skip_connections(sizes, expected):
    network = Classifier(published("darts_v2"), init_channels=4, classes=3, **sizes)
    found = interop.classifier_sizes(network.state_dict())
    assert found["reductions"] == expected
    assert found["extra_skip"] == sizes.get("extra_skip", False)
    again = Classifier(published("darts_v2"), **found)
    again.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(again.eval()(images), network.eval()(images))


def test_a_search_network_of_one_cell_moves_only_the_alphas_of_that_cell():
    torch.manual_seed(0)
    space = build_space("cnn", ["skip_connect", "sep_conv_3x3"], 8)
    supernet = CnnSupernet(space, init_channels=2, layers=1, classes=3, reductions=[0], parts=Parts(), alpha_scale=0.1)
    batch = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    supernet.loss(batch, supernet.mixing()).loss.backward()
    gradients = {name: alphas.grad for name, alphas in supernet.architecture().items()}
    assert {name for name, gradient in gradients.items() if gradient is not None} == {"alphas.reduce"}
    network = Classifier(random_genotype(space, 0), init_channels=2, layers=1, classes=3, reductions=[0])
    assert [cell.concat for cell in network.cells] == [tuple(range(2, 10))]
