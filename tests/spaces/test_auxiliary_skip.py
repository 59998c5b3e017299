"""The auxiliary skip connection: what it adds to which edge, and when."""

import math

import pytest
import torch

from counting import cost
from darts_pl.errors import UserError
from darts_pl.selection.one_path import one_path
from darts_pl.selection.random import random_genotype
from darts_pl.spaces import (
    AuxiliaryPath,
    AuxiliarySkip,
    AuxiliarySkipSettings,
    CnnSupernet,
    NasBench201Supernet,
    PartialChannels,
    PartialChannelsSettings,
    Parts,
    PlainEdges,
    Skip,
    build_space,
    space_of,
)
from tests.paper import CANDIDATES

NAMES = ("none", "skip_connect", "sep_conv_3x3")
EDGES = 3


def auxiliary(schedule="linear"):
    return AuxiliarySkip(AuxiliarySkipSettings(schedule=schedule))


def leaving(kind, skip, stride=1, channels=8):
    return kind.build([NAMES] * EDGES, channels, stride, skip).double().train()


def both(kind, stride, beta):
    """Edges with an auxiliary skip, and the same without."""
    torch.manual_seed(0)
    with_path, without = leaving(kind, auxiliary(), stride), leaving(kind, Skip(), stride)
    without.load_state_dict({name: with_path.state_dict()[name] for name in without.state_dict()})
    with_path.extra.beta = beta
    return with_path, without


@pytest.mark.parametrize("beta", [1.0, 0.4, 0.0])
def test_every_edge_of_stride_1_adds_beta_times_its_input(beta):
    one, other = both(PlainEdges(), 1, beta)
    node, weights = torch.randn(2, 8, 5, 5, dtype=torch.float64), torch.rand(EDGES, 3, dtype=torch.float64)
    for found, plain in zip(one(node, weights), other(node, weights), strict=True):
        torch.testing.assert_close(found, plain + beta * node)


def test_every_edge_of_stride_2_adds_beta_times_a_reduction_of_its_own():
    one, other = both(PlainEdges(), 2, 0.3)
    node, weights = torch.randn(2, 8, 6, 6, dtype=torch.float64), torch.rand(EDGES, 3, dtype=torch.float64)
    reduce = one.extra.auxiliary_op
    halves = [reduce.conv_1.weight.chunk(EDGES), reduce.conv_2.weight.chunk(EDGES)]
    x = node.relu()
    added = []
    for edge, (found, plain) in enumerate(zip(one(node, weights), other(node, weights), strict=True)):
        first = torch.nn.functional.conv2d(x, halves[0][edge], stride=2)
        second = torch.nn.functional.conv2d(x[:, :, 1:, 1:], halves[1][edge], stride=2)
        raw = torch.cat([first, second], 1)
        normal = torch.nn.functional.batch_norm(raw, None, None, training=True)
        torch.testing.assert_close(found, plain + 0.3 * normal)
        added.append(found - plain)
    assert not torch.allclose(added[0], added[1])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("edge_weights", [None, (0.5, 2.0, 0.1)])
def test_with_partial_channels_each_channel_is_passed_on_once(stride, edge_weights):
    kind = PartialChannels(PartialChannelsSettings(k=4, edge_weights=edge_weights is not None))
    one, other = both(kind, stride, 0.7)
    node = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    betas = None if edge_weights is None else torch.tensor(edge_weights, dtype=torch.float64)
    weights = torch.rand(EDGES, 3, dtype=torch.float64)
    found, plain = (kind.finish(edges(node, weights, None, betas)) for edges in (one, other))
    difference = found - plain
    # The first 2 of 8 channels are read; the shuffle moves them to the channels 0 and 4.
    assert not difference[:, [1, 2, 3, 5, 6, 7]].any()
    read, scalars = node[:, :2], [1.0] * EDGES if edge_weights is None else edge_weights
    if stride == 1:
        expected = sum(scalars) * 0.7 * read
    else:
        by_edge = one.extra.auxiliary_op(read).chunk(EDGES, dim=1)
        expected = sum(0.7 * scalar * part for scalar, part in zip(scalars, by_edge, strict=True))
    torch.testing.assert_close(difference[:, [0, 4]], expected)


def test_an_edge_that_is_gone_adds_nothing_and_one_of_none_alone_does():
    one, _ = both(PlainEdges(), 1, 0.5)
    node = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    gone = [(False, False, False), (True, False, False), (False, False, False)]
    parts = one(node, torch.rand(EDGES, 3, dtype=torch.float64), gone)
    assert parts[0] is parts[2] is None
    torch.testing.assert_close(parts[1], 0.5 * node)


def test_a_single_genotype_is_scored_without_the_path_once_the_search_is_over():
    space = build_space("cnn", NAMES, 2)
    torch.manual_seed(1)
    nets = [
        CnnSupernet(space, init_channels=4, layers=3, classes=2, parts=Parts(skip=skip)).double().train()
        for skip in (auxiliary(), Skip())
    ]
    nets[1].load_state_dict({name: nets[0].state_dict()[name] for name in nets[1].state_dict()})
    genotype = random_genotype(space, 3)
    mixing = one_path(space, genotype, nets[0].alphas["normal"])
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    assert not torch.allclose(nets[0](images, mixing), nets[1](images, mixing))
    nets[0].end_search()
    torch.testing.assert_close(nets[0](images, mixing), nets[1](images, mixing))


def test_beta_is_derived_from_the_epoch_in_all_cells_and_told():
    net = CnnSupernet(
        build_space("cnn", NAMES, 2), init_channels=4, layers=3, classes=2, parts=Parts(skip=auxiliary("cosine"))
    )
    expected = [1.0, (1 + math.cos(math.pi / 4)) / 2, 0.5, (1 + math.cos(3 * math.pi / 4)) / 2]
    for epoch, beta in enumerate(expected):
        net.start_epoch(epoch, 4)
        paths = [module for module in net.modules() if isinstance(module, AuxiliaryPath)]
        assert len(paths) == 3 * 3
        assert all(path.beta == pytest.approx(beta) for path in paths)
        assert net.metrics() == {"skip_beta": pytest.approx(beta)}
    net.end_search()
    assert net.metrics() == {"skip_beta": 0.0}


def test_nasbench201_adds_it_to_every_edge_of_a_cell():
    space = build_space("nasbench201", ["none", "skip_connect"], 2)
    sizes = {"channels": 4, "cells": 1, "classes": 2}
    net, plain = (
        NasBench201Supernet(space, **sizes, parts=Parts(skip=skip)).double() for skip in (auxiliary(), Skip())
    )
    plain.load_state_dict(net.state_dict())
    with torch.no_grad():  # a skip connection of weight 1/2 beside one of weight 1/2 is one of weight 1
        for name in net.alphas:
            net.alphas[name].zero_()
            plain.alphas[name].copy_(torch.tensor([-50.0, 50.0]).expand(3, 2))
    for path in net.modules():
        if isinstance(path, AuxiliaryPath):
            path.beta = 0.5
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(net(images, net.mixing()), plain(images, plain.mixing()))


def test_a_recurrent_cell_refuses_it_with_the_reason():
    with pytest.raises(UserError, match=r"passes its input on by its gate already.*add skip=plain") as caught:
        space_of("rnn").supernet(None, {}, Parts(skip=auxiliary()))
    assert len(str(caught.value).splitlines()) == 1


def test_a_step_costs_at_most_1_1_of_the_plain_operations_and_bytes():
    # The paper's size; a batch of 4 images is enough for a ratio.
    images, labels = torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.long)
    spent = []
    for skip in (Skip(), auxiliary()):
        net = CnnSupernet(
            build_space("cnn", CANDIDATES, 4), init_channels=16, layers=8, classes=10, parts=Parts(skip=skip)
        )
        net.start_epoch(1, 4)
        spent.append(cost(lambda net=net: net.loss((images, labels), net.mixing()).loss.backward()))
    print(f"operations {spent[1].operations / spent[0].operations:.3f}, saved {spent[1].saved / spent[0].saved:.3f}")
    assert spent[1].operations <= 1.1 * spent[0].operations
    assert spent[1].saved <= 1.1 * spent[0].saved
