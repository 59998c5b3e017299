"""Partial channels for all edges of a node at once, against their definition edge by edge."""

import pytest
import torch
from torch import nn

from counting import cost
from darts_pl.errors import UserError
from darts_pl.ops import Identity
from darts_pl.spaces import (
    CnnSupernet,
    MixedEdges,
    PartialChannels,
    PartialChannelsSettings,
    Parts,
    PlainEdges,
    Skip,
    build_space,
    space_of,
)
from tests.paper import CANDIDATES

NAMES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
EDGES, BATCH = 3, 2


def partial(k, *, edge_weights=True):
    return PartialChannels(PartialChannelsSettings(k=k, edge_weights=edge_weights))


def rows_of(leaving, position):
    """The module of one edge alone, with that edge's weights."""
    alone = MixedEdges([NAMES], leaving.channels, leaving.stride)
    own = leaving.state_dict()
    rows = {
        name: own[name].chunk(EDGES)[position] if own[name].shape != tensor.shape else own[name]
        for name, tensor in alone.state_dict().items()
    }
    alone.load_state_dict(rows)
    return alone


def shuffled(x, k):
    """out[i*k + g] = in[g*(C/k) + i]."""
    groups = x.shape[1] // k
    order = [0] * x.shape[1]
    for g in range(k):
        for i in range(groups):
            order[i * k + g] = g * groups + i
    return x[:, order]


def edge_alone(leaving, position, node, row):
    """y_e of the definition, before the edge weight."""
    read, rest = node[:, : leaving.channels], node[:, leaving.channels :]
    mixed = rows_of(leaving, position).double().train()(read, row.unsqueeze(0))[0]
    if leaving.stride == 2:
        height, width = node.shape[-2:]
        rest = nn.functional.pad(rest, (0, width % 2, 0, height % 2), value=-torch.inf)
        rest = torch.stack([rest[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
    return shuffled(torch.cat([mixed, rest], dim=1), leaving.k)


@pytest.mark.parametrize("edge_weights", [True, False])
@pytest.mark.parametrize(("k", "channels"), [(4, 8), (2, 6), (4, 4), (3, 12)])
@pytest.mark.parametrize(("stride", "size"), [(1, (5, 6)), (2, (8, 8)), (2, (7, 9))])
def test_a_node_is_the_sum_of_its_shuffled_edges_on_maps_of_even_and_odd_size(edge_weights, k, channels, stride, size):
    if stride == 2 and channels == k:
        channels = 2 * k  # a halved map needs two channels
    kind = partial(k, edge_weights=edge_weights)
    leaving = kind.build([NAMES] * EDGES, channels, stride, Skip()).double().train()
    node = torch.randn(BATCH, channels, *size, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(EDGES, len(NAMES), dtype=torch.float64, requires_grad=True)
    betas = torch.rand(EDGES, dtype=torch.float64, requires_grad=True) if edge_weights else None
    searched = [node, weights] if betas is None else [node, weights, betas]
    found = kind.finish(leaving(node.contiguous(memory_format=torch.channels_last), weights, None, betas))
    scalars = torch.ones(EDGES, dtype=torch.float64) if betas is None else betas
    expected = sum(scalars[e] * edge_alone(leaving, e, node, weights[e]) for e in range(EDGES))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    cotangent = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, searched, cotangent), torch.autograd.grad(expected, searched, cotangent), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_with_k_1_partial_channels_are_plain_edges():
    torch.manual_seed(1)
    one, plain = (kind.build([NAMES] * EDGES, 4, 1, Skip()).train() for kind in (partial(1), PlainEdges()))
    plain.load_state_dict(one.state_dict())
    node, weights = torch.randn(BATCH, 4, 5, 5), torch.rand(EDGES, len(NAMES))
    assert torch.equal(
        partial(1).finish(one(node, weights, None, torch.ones(EDGES))), PlainEdges().finish(plain(node, weights))
    )


def test_an_edge_without_a_living_candidate_is_gone_with_its_bypass_and_one_that_draws_none_keeps_it():
    kind = partial(2)
    leaving = kind.build([NAMES] * 2, 4, 1, Skip())
    node, weights = torch.randn(BATCH, 4, 5, 5), torch.rand(2, len(NAMES))
    gone = [(False,) * len(NAMES), (True, False, False, False)]
    parts = leaving(node, weights, gone, torch.tensor([5.0, 3.0]))
    assert parts[0] is None
    expected = shuffled(torch.cat([torch.zeros(BATCH, 2, 5, 5), 3 * node[:, 2:]], dim=1), 2)
    torch.testing.assert_close(kind.finish(parts[1:]), expected)


class AddedInput(Skip):
    """Adds the input to every edge, as an auxiliary skip does."""

    def extra(self, channels, stride, edges):
        return Identity()


def test_an_added_skip_reaches_only_the_channels_that_candidates_read():
    kind = partial(2)
    leaving = kind.build([("none",)], 4, 1, AddedInput())
    node = torch.randn(BATCH, 4, 3, 3)
    found = kind.finish(leaving(node, torch.ones(1, 1)))
    torch.testing.assert_close(found, shuffled(node, 2))  # each channel once


@pytest.mark.parametrize(("k", "channels"), [(3, 16), (5, 16), (32, 16)])
def test_channels_that_k_does_not_divide_are_refused_with_both_numbers(k, channels):
    space = build_space("cnn", NAMES, 1)
    with pytest.raises(UserError, match=rf"^edges\.k={k}: .*{channels}") as caught:
        CnnSupernet(space, init_channels=channels, layers=3, classes=2, parts=Parts(edges=partial(k)))
    assert len(str(caught.value).splitlines()) == 1


def test_a_recurrent_cell_refuses_partial_channels():
    space = space_of("rnn")
    with pytest.raises(UserError, match="vectors without channels"):
        space.supernet(None, {}, Parts(edges=partial(4)))


def test_partial_channels_with_k_4_save_at_most_0_35_of_the_plain_bytes():
    # The paper's size; a batch of 4 images is enough for a ratio.
    images, labels = torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.long)
    spent = []
    for kind in (PlainEdges(), partial(4)):
        net = CnnSupernet(
            build_space("cnn", CANDIDATES, 4), init_channels=16, layers=8, classes=10, parts=Parts(edges=kind)
        )
        spent.append(cost(lambda net=net: net.loss((images, labels), net.mixing()).loss.backward()))
    print(f"saved {spent[1].saved / spent[0].saved:.3f}, operations {spent[1].operations / spent[0].operations:.2f}")
    assert spent[1].saved <= 0.35 * spent[0].saved
    assert spent[1].operations <= 1.3 * spent[0].operations
