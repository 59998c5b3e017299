"""The convolutional supernet against the same network written edge by edge."""

import pytest
import torch
from torch import nn

from darts_pl.errors import UserError
from darts_pl.spaces import CellSpace, CnnSupernet, Parts, Relaxation, SearchSpace, build_space, fix_weights, reductions
from tests.paper import CANDIDATES as PAPER
from tests.spaces.cnn.two_forms import assert_same, both


def supernet(space, dtype=torch.float64, **sizes):
    """With alphas far from equal."""
    net = CnnSupernet(space, **{"init_channels": 2, "layers": 3, "classes": 3, **sizes}).to(dtype)
    for alphas in net.alphas.values():
        nn.init.normal_(alphas)
    nn.init.normal_(net.stem[1].weight)
    nn.init.normal_(net.stem[1].bias)
    return net


# nodes, layers, classes, in_channels, height, width
SIZES = {
    "8x8 grey": (4, 3, 10, 1, 8, 8),
    "odd map": (2, 3, 3, 3, 15, 15),
    "oblong map": (2, 4, 3, 3, 9, 14),
    "one node, one class": (1, 3, 1, 3, 8, 8),
    "one cell": (2, 1, 3, 3, 8, 8),
    "two cells": (2, 2, 3, 2, 11, 8),
    "six cells": (1, 6, 5, 3, 16, 16),
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_logits_and_gradients_are_those_of_the_network_edge_by_edge_at_any_size(sizes, edge_by_edge):
    nodes, layers, classes, in_channels, height, width = sizes
    net = supernet(build_space("cnn", PAPER, nodes), layers=layers, classes=classes, in_channels=in_channels)
    images = torch.randn(3, in_channels, height, width, dtype=torch.float64)
    results = both(net, images, edge_by_edge, alphas_in_use=layers > 2)
    assert results[0][0].shape == (3, classes)
    assert_same(results)


def test_a_photo_of_224_pixels_goes_through_and_back_in_float32(edge_by_edge):
    net = supernet(build_space("cnn", PAPER, 1), init_channels=1, layers=2)
    images = torch.randn(2, 3, 224, 224, dtype=torch.float64)
    _, (expected, gradients) = both(net, images, edge_by_edge, alphas_in_use=False)
    logits = net.float()(images.float(), net.mixing())
    torch.testing.assert_close(logits.double(), expected, rtol=1e-3, atol=1e-3)
    logits.backward(torch.linspace(-1, 1, logits.numel()).view_as(logits))
    found, exact = (
        torch.cat([of(name).flatten() for name in gradients])
        for of in (lambda name: net.get_parameter(name).grad.double(), gradients.get)
    )
    assert (found - exact).norm() / exact.norm() < 1e-2


def test_width_depth_and_heads_follow_the_paper():
    assert reductions(8) == {2, 5}
    assert reductions(20) == {6, 13}
    net = CnnSupernet(build_space("cnn", PAPER, 4), init_channels=4, layers=8, classes=7).eval()
    widths, sizes = [], []
    for cell in net.cells:
        cell.register_forward_hook(lambda _, __, out: widths.append(out.shape[1]))
        cell.register_forward_hook(lambda _, __, out: sizes.append(out.shape[2]))
    with torch.no_grad():
        net(torch.randn(1, 3, 32, 32), net.mixing())
    assert widths == [16, 16, 32, 32, 32, 64, 64, 64]
    assert sizes == [32, 32, 16, 16, 16, 8, 8, 8]
    assert net.stem[0].weight.shape == (12, 3, 3, 3)
    assert net.classifier.weight.shape == (7, 64)


def ragged_space():
    """Candidates differ from edge to edge, also in their order; both kinds of cells."""
    candidates = (
        ("none", "skip_connect", "sep_conv_3x3"),
        ("dil_conv_5x5", "sep_conv_3x3"),
        ("skip_connect", "max_pool_3x3"),
        ("sep_conv_3x3", "none", "max_pool_3x3"),
        ("avg_pool_3x3", "sep_conv_3x3"),
    )
    normal, reduction = CellSpace(2, 2, 2, candidates), CellSpace(2, 2, 2, candidates[::-1])
    return SearchSpace("cnn", {"normal": normal, "reduce": reduction})


def test_candidates_that_differ_from_edge_to_edge_give_the_sum_over_each_edges_own(edge_by_edge):
    net = supernet(ragged_space())
    assert_same(both(net, torch.randn(3, 3, 9, 9, dtype=torch.float64), edge_by_edge))


@pytest.mark.parametrize("space", [build_space("cnn", PAPER, 2), ragged_space()], ids=["uniform", "ragged"])
def test_fixed_candidates_contribute_exactly_their_fixed_weight(space, edge_by_edge):
    net = supernet(space)
    torch.manual_seed(6)
    drawn = {}
    for name, cell in space.cells.items():
        values = drawn[name] = {}
        for edge, row in enumerate(torch.rand(cell.shape).tolist()):
            for column, kept in enumerate(row):
                if edge in cell.leaving(1):  # nothing leaves the second input
                    values[edge, column] = 0.0
                elif kept < 0.6:
                    values[edge, column] = 1.5 if kept < 0.1 else 0.0
        net.fix(name, values)
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    assert_same(both(net, images, edge_by_edge))
    found = net(images, net.mixing())
    for name in space.cells:
        net.fix(name, None)
    assert_same(both(net, images, edge_by_edge))
    of_one_pass = {name: fix_weights(mixing, drawn[name]) for name, mixing in net.mixing().items()}
    assert torch.equal(net(images, of_one_pass), found)


def convolutions(net, images):
    """By name, the convolutions that ran."""
    ran = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)
    ]
    with torch.no_grad():
        net(images, net.mixing())
    for handle in handles:
        handle.remove()
    return ran


def test_a_candidate_that_is_dead_on_all_edges_of_a_node_is_not_computed():
    net = supernet(build_space("cnn", PAPER, 2))
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    everything = convolutions(net, images)
    assert len(everything) == len(set(everything))  # each once, for all its edges
    normal = net.space.cells["normal"]
    dead = [
        *((edge, "sep_conv_5x5") for edge in range(len(normal.edges))),  # everywhere
        *((edge, "avg_pool_3x3") for edge in normal.leaving(0)),  # on all edges that leave node 0
        (normal.leaving(1)[0], "max_pool_3x3"),  # on one of two: still needed by the other
    ]
    net.fix("normal", {(edge, PAPER.index(name)): 0.0 for edge, name in dead})
    ran = convolutions(net, images)
    gone = set(everything) - set(ran)
    first = {f"cells.{n}" for n, cell in enumerate(net.cells) if cell.cell_type == "normal"}
    assert first == {"cells.0"}
    assert gone == {
        *(
            f"cells.0.mixed.{source}.operations.sep_conv_5x5.op.{layer}"
            for source in (0, 1, 2)
            for layer in (1, 2, 5, 6)
        ),
        "cells.0.mixed.0.operations.avg_pool_3x3.pool",
    }
    net.fix("normal", None)
    assert convolutions(net, images) == everything


def test_none_is_never_computed_but_takes_its_share():
    net = supernet(build_space("cnn", ("none", "skip_connect"), 1))
    cell, outputs = net.cells[0], []
    assert [list(mixed.operations) for mixed in cell.mixed] == [["skip_connect"], ["skip_connect"]]
    cell.register_forward_hook(lambda _, __, out: outputs.append(out))
    net.load_alphas({"normal": torch.tensor([[9.0, 1.0], [7.0, 3.0]]).log()})
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    net(images, net.mixing())
    stem, _ = net.stem(images)
    expected = 0.1 * cell.preprocess0(stem) + 0.3 * cell.preprocess1(stem)
    torch.testing.assert_close(outputs[0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (15, 9)])
def test_where_everything_is_fixed_at_zero_cells_give_zeros_and_the_head_its_bias(size):
    net = supernet(build_space("cnn", PAPER, 2))
    outputs = []
    for cell in net.cells:
        cell.register_forward_hook(lambda _, __, out: outputs.append(out))
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    net(images, net.mixing())
    expected, outputs[:] = [out.shape for out in outputs], []
    for name, cell in net.space.cells.items():
        net.fix(name, {(edge, column): 0.0 for edge in range(cell.shape[0]) for column in range(cell.shape[1])})
    logits = net(images, net.mixing())
    assert [out.shape for out in outputs] == expected
    assert not any(out.any() for out in outputs)
    assert torch.equal(logits, net.classifier.bias.expand(2, -1))
    assert [name for name in convolutions(net, images) if ".mixed." in name] == []


def test_a_node_that_nothing_enters_is_zero_and_the_others_stay():
    net = supernet(build_space("cnn", PAPER, 3), layers=3)
    space = net.space.cells["normal"]
    outputs = []
    net.cells[0].register_forward_hook(lambda _, __, out: outputs.append(out.chunk(3, dim=1)))
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    net(images, net.mixing())
    net.fix("normal", {(edge, column): 0.0 for edge in space.entering(3) for column in range(len(PAPER))})
    net(images, net.mixing())
    free, fixed = outputs
    assert not fixed[1].any()
    # Other edges are computed together now, so the sum is the same but for the order of its terms.
    torch.testing.assert_close(fixed[0], free[0], rtol=1e-12, atol=1e-12)
    assert not torch.equal(fixed[2], free[2])


def test_every_map_in_the_network_is_channels_last():
    net = supernet(build_space("cnn", PAPER, 3), torch.float32, layers=4)
    seen = {}

    def look(module, inputs, output, name):
        for kind, values in (("in", inputs[0]), ("out", output)):
            seen[f"{name}:{kind}"] = values.stride(1) == 1

    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.MaxPool2d | nn.AvgPool2d):
            module.register_forward_hook(lambda *arguments, name=name: look(*arguments, name))
    net(torch.randn(2, 3, 12, 12), net.mixing())
    assert len(seen) > 200
    assert [name for name, kept in seen.items() if not kept] == []


class Halves(Relaxation):
    """Every mixing weight is a half; keeps the alphas that it is asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def expected(self, alphas, live):
        self.asked.append(alphas)
        return torch.full_like(alphas, 0.5)


def test_the_relaxation_is_asked_once_per_cell_type_and_mixing_and_is_what_mixes():
    net, halves = supernet(build_space("cnn", PAPER, 2)), Halves()
    parts = Parts(relaxation=halves)
    plain = CnnSupernet(net.space, init_channels=2, layers=3, classes=3, parts=parts).double()
    plain.load_state_dict(net.state_dict())
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    found, asked = plain(images, plain.mixing()), halves.asked
    assert [alphas is plain.alphas[name] for alphas, name in zip(asked, ("normal", "reduce"), strict=True)] == [
        True
    ] * 2
    for name, cell in net.space.cells.items():
        net.fix(name, {(edge, column): 0.5 for edge in range(cell.shape[0]) for column in range(cell.shape[1])})
    assert torch.equal(found, net(images, net.mixing()))


def test_the_loss_is_the_mean_of_minus_log_probabilities():
    net = supernet(build_space("cnn", ("skip_connect", "avg_pool_3x3"), 1))
    images, labels = torch.randn(5, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 0])
    outcome = net.loss((images, labels), net.mixing())
    probabilities = outcome.outputs.exp() / outcome.outputs.exp().sum(1, keepdim=True)
    torch.testing.assert_close(outcome.loss, -probabilities[torch.arange(5), labels].log().mean())
    assert outcome.carry is None


@pytest.mark.parametrize("size", ["init_channels", "layers", "classes"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_size_below_one_is_refused_by_name(size, value):
    with pytest.raises(UserError, match=f"{size}={value}: must be at least 1"):
        CnnSupernet(build_space("cnn", PAPER, 4), **{"init_channels": 2, "layers": 3, "classes": 3, size: value})


def test_a_plain_dict_of_tensors_loads():
    net, other = (supernet(build_space("cnn", PAPER, 1)) for _ in range(2))
    net(torch.randn(2, 3, 8, 8, dtype=torch.float64), net.mixing())
    other.load_state_dict(dict(net.state_dict()))
    assert all(torch.equal(values, other.state_dict()[name]) for name, values in net.state_dict().items())
