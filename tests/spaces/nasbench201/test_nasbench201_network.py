"""The final network of the NAS-Bench-201 space: recorded numbers, and the sizes that the table publishes."""

import json
import random

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from darts_pl.errors import UserError
from darts_pl.spaces import count_multiply_adds, count_parameters
from darts_pl.spaces.nasbench201 import NasBench201, NasBench201Network, parse_text

#: By data set of the recorded sizes: classes and side of the images.
DATA_SETS = {"cifar10": (10, 32), "cifar100": (100, 32), "ImageNet16-120": (120, 16)}


@pytest.mark.parity
def test_final_networks_give_the_recorded_numbers(final_file, agrees):
    data = torch.load(final_file, weights_only=True)
    hyper, x = data["hyper"], data["x"].double()
    for recorded in data["cells"]:
        network = NasBench201Network(
            parse_text(recorded["genotype"]),
            channels=hyper["init_channels"],
            cells=hyper["N"],
            classes=hyper["num_classes"],
        )
        state = network.state_dict()
        counters = {name: values for name, values in state.items() if name.endswith("num_batches_tracked")}
        network.load_state_dict({**counters, **recorded["state_dict"]})
        assert count_parameters(network) == recorded["parameters"]
        network.double().eval()
        agrees(final_file, "logits_eval_mode", network(x), recorded["logits_eval_mode"])
        agrees(final_file, "features_eval_mode", network.features(x), recorded["features_eval_mode"])
        logits = network.train()(x)
        agrees(final_file, "logits_train_mode", logits, recorded["logits_train_mode"])
        loss = cross_entropy(logits, data["y"])
        agrees(final_file, "train_loss", loss, recorded["train_loss"])
        gradients = torch.autograd.grad(loss, list(network.parameters()), materialize_grads=True)
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        agrees(final_file, "grad_w_norm", norm, recorded["grad_w_norm"])


def size(cell, classes=10, side=32):
    """(parameters, multiply-adds as the benchmark counts them, which is with the linear layer's bias)."""
    with torch.device("meta"):
        network = NasBench201Network(cell, classes=classes, channels=16, cells=5)
    return count_parameters(network), count_multiply_adds(network, 3, side, side) + classes


def size_layer_by_layer(cell):
    """The same for CIFAR-10, counted at every layer from the shapes that pass."""
    network, counts = NasBench201Network(cell, channels=16, cells=5, classes=10).eval(), []

    def count(module, _, output):
        bias = module.bias.numel() if isinstance(module, nn.Linear) else 0
        counts.append(module.weight[0].numel() * output[0].numel() + bias)

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.empty(1, 3, 32, 32))
    return sum(values.numel() for values in network.parameters()), sum(counts)


@pytest.mark.parity
def test_networks_for_the_three_data_sets_have_the_recorded_sizes(sizes_file):
    recorded = json.loads(sizes_file.read_text())["sizes"]
    table = NasBench201()
    for number, one in enumerate(recorded):
        assert (one["C"], one["N"]) == (16, 5)
        cell = parse_text(one["genotype"])
        sizes = {name: (one[name]["parameters"], round(one[name]["flops_M"] * 1e6)) for name in DATA_SETS}
        if number < 3:
            assert {name: size(cell, *shape) for name, shape in DATA_SETS.items()} == sizes
        else:
            assert size_layer_by_layer(cell) == sizes["cifar10"]
        entry = table.lookup(cell)
        assert (entry.parameters, entry.multiply_adds) == sizes["cifar10"] or entry.doubtful_size


def test_fifty_random_cells_have_the_size_that_the_table_gives():
    table = NasBench201()
    entries = map(table.lookup, random.Random(0).sample(range(len(table)), 60))
    sound = [entry for entry in entries if not entry.doubtful_size][:50]
    assert len(sound) == 50
    for entry in sound:
        assert size_layer_by_layer(entry.cell) == (entry.parameters, entry.multiply_adds), entry.text


def test_a_cell_that_nothing_reaches_gives_every_image_the_same_logits():
    network = NasBench201Network((0,) * 6, channels=2, cells=1, classes=10).eval()
    logits = network(torch.randn(3, 3, 8, 8))
    torch.testing.assert_close(logits, logits[:1].expand(3, -1))
    assert not any(isinstance(module, nn.ReLU) for module in network.cells[0].modules())


@pytest.mark.parametrize("size", [(7, 9), (5, 8), (3, 3)])
def test_maps_of_odd_size_are_halved_rounding_up(size):
    network = NasBench201Network((3, 4, 2, 1, 3, 2), channels=2, cells=1, in_channels=1, classes=10)
    x = torch.randn(2, 1, *size)
    for layer in (network.stem, *network.cells[:4]):
        x = layer(x)
    assert x.shape == (2, 8, *(-(-side // 4) for side in size))


def test_a_cell_with_five_nodes_sums_what_its_edges_bring():
    skips = (0, 1, 1, 1, 1, 1, 1, 1, 1, 1)  # node 1 is zero, 2 = x, 3 = 2x, 4 = x + 0 + x + 2x
    cell = NasBench201Network(skips, channels=2, cells=1, nodes=5, classes=10).cells[0]
    x = torch.randn(2, 2, 4, 4)
    torch.testing.assert_close(cell(x), 4 * x)


@pytest.mark.parametrize(
    ("cell", "sizes", "message"),
    [
        ((1,) * 6, {"channels": 0}, "channels=0: must be at least 1"),
        ((1,) * 6, {"cells": 0}, "cells=0: must be at least 1"),
        ((1,) * 6, {"nodes": 3}, "6 operations; it needs 3"),
        ((1,) * 5, {}, "5 operations; it needs 6"),
        ((1, 1, 1, 1, 1, 7), {}, "operation 7 does not exist; use 0 to 4"),
    ],
)
def test_what_builds_no_network_is_refused_by_name(cell, sizes, message):
    with pytest.raises(UserError, match=message):
        NasBench201Network(cell, **{"channels": 16, "cells": 5, "classes": 10, **sizes})
