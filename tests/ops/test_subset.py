"""A candidate on some of its K edges against one module per edge, for every registered operation."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from darts_pl.ops import (
    BatchNorm,
    EdgeByEdge,
    EdgeOperation,
    NodeOutput,
    Subset,
    build_edges,
    candidate,
    names,
    registry,
)
from tests.registrations import keep_registrations

C, K, B = 4, 3, 2
PLACES = [(1,), (0, 2)]
OWN = ("own_ordinary", "own_parallel")


def own_ordinary(channels, stride, affine):
    """As someone would write it who knows nothing of parallel edges: a bias, an affine part, a count of batches."""
    return nn.Sequential(nn.Conv2d(channels, channels, 3, stride, padding=1), nn.BatchNorm2d(channels))


class OwnParallel(EdgeOperation):
    """A user's form for K edges, with a parameter that is no layer's and a count of batches."""

    def __init__(self, channels, stride, edges):
        super().__init__(edges)
        self.slope = nn.Parameter(torch.ones(edges * channels))
        self.conv = nn.Conv2d(edges * channels, edges * channels, 3, stride, 1, groups=edges)
        self.norm = nn.BatchNorm2d(edges * channels)

    def on_edges(self, node, scale=None):
        found = self.norm(self.conv(node.repeated(self.edges))) * self.slope.view(1, -1, 1, 1)
        return found if scale is None else found * scale.view(1, -1, 1, 1)


def own_parallel(channels, stride, affine, edges):
    return OwnParallel(channels, stride, edges)


@pytest.fixture(autouse=True)
def _own_candidates(monkeypatch):
    keep_registrations(monkeypatch, [registry.CANDIDATES])
    candidate("own_ordinary")(own_ordinary)
    candidate("own_parallel", parallel=True)(own_parallel)


class Wrapped(EdgeOperation):
    """What a `Skip` makes of a candidate."""

    def __init__(self, operation):
        super().__init__(operation.edges)
        self.inner = operation

    def on_edges(self, node, scale=None):
        return 2 * self.inner.on_edges(node, scale)


def built(name, stride, wrapped, edges):
    operation = build_edges(name, C, stride, edges)
    return Wrapped(operation) if wrapped else operation


def floats(operation):
    """Parameters and floating-point buffers by name."""
    return {name: values for name, values in operation.state_dict(keep_vars=True).items() if values.is_floating_point()}


def own_part(name, values, edge):
    """The name and the slice of a tensor of K edges that an operation of that edge alone has; None = no part."""
    if "each." not in name:
        return name, values.chunk(K)[edge]
    before, after = name.split("each.")
    number, inner = after.split(".", 1)
    return (f"{before}each.0.{inner}", values) if int(number) == edge else None


def one_per_edge(operation, build):
    """For each of the K edges the operation of that edge alone, with its weights and buffers."""
    apart = []
    for edge in range(K):
        alone = build(1).double()
        parts = dict(filter(None, (own_part(name, values, edge) for name, values in floats(operation).items())))
        assert parts.keys() == floats(alone).keys()
        with torch.no_grad():
            for name, values in floats(alone).items():
                values.copy_(parts[name])
        apart.append(alone.train(operation.training))
    return apart


def cases():
    for name in (*(one for one in names() if one != "noise"), *OWN):
        for stride in (1, 2):
            if name in OWN or not build_edges(name, C, stride, 1).shared:
                yield from ((name, stride, wrapped) for wrapped in (False, True))


@pytest.mark.parametrize(("name", "stride", "wrapped"), list(cases()))
@pytest.mark.parametrize("places", PLACES, ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_some_edges_give_the_maps_gradients_and_statistics_of_a_module_per_edge(
    name, stride, wrapped, places, training
):
    build = partial(built, name, stride, wrapped)
    operation = build(K).double().train(training)
    for values in floats(operation).values():
        nn.init.uniform_(values, 0.3, 1.3)
    apart, untouched = one_per_edge(operation, build), copy.deepcopy(operation.state_dict())
    x = torch.randn(B, C, 7, 8, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    weights = torch.rand(len(places), dtype=torch.float64).requires_grad_()
    found = Subset(build)(operation, places, NodeOutput(x), weights.repeat_interleave(C))
    node = NodeOutput(x)
    expected = torch.cat(
        [weight * apart[edge].on_edges(node) for weight, edge in zip(weights, places, strict=True)], dim=1
    )
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)

    cotangent = torch.randn_like(found)
    ours = [x, weights, *operation.parameters()]
    gradients = torch.autograd.grad(found, ours, cotangent, allow_unused=True, materialize_grads=True)
    theirs = [x, weights, *(parameter for edge in places for parameter in apart[edge].parameters())]
    expected_gradients = iter(torch.autograd.grad(expected, theirs, cotangent))
    for gradient in gradients[:2]:  # node and mixing weights
        torch.testing.assert_close(gradient, next(expected_gradients), rtol=1e-10, atol=1e-10)
    by_edge = {edge: {name: next(expected_gradients) for name, _ in apart[edge].named_parameters()} for edge in places}
    for (parameter, _), gradient in zip(operation.named_parameters(), gradients[2:], strict=True):
        for edge in range(K):
            part = own_part(parameter, gradient, edge)
            if part is not None and edge in places:
                torch.testing.assert_close(part[1], by_edge[edge][part[0]], rtol=1e-10, atol=1e-10)
            elif part is not None:
                assert not part[1].any()

    for buffer, values in floats(operation).items():
        for edge in range(K):
            part, before = own_part(buffer, values, edge), own_part(buffer, untouched[buffer], edge)
            if part is not None and edge in places:
                torch.testing.assert_close(part[1], floats(apart[edge])[part[0]], rtol=1e-12, atol=1e-12)
            elif part is not None:
                assert torch.equal(part[1], before[1])


@pytest.mark.parametrize("name", OWN)
def test_a_count_of_batches_goes_up_where_an_edge_is_computed(name):
    build = partial(built, name, 1, False)
    operation, subset = build(K), Subset(build)
    scale = torch.ones(2 * C)
    for passes in (1, 2):
        subset(operation, (0, 2), NodeOutput(torch.randn(B, C, 5, 5)), scale)
        counts = [int(v) for key, v in operation.state_dict().items() if key.endswith("num_batches_tracked")]
        assert counts == ([passes, 0, passes] if isinstance(operation, EdgeByEdge) else [passes])


def test_a_template_holds_no_memory_and_is_built_once_per_number_of_edges():
    built_for = []

    def build(edges):
        built_for.append(edges)
        return build_edges("sep_conv_3x3", C, 1, edges)

    operation, subset = build(K), Subset(build)
    for places in ((0, 1), (1, 2), (0,), (0, 2), (2,)):
        subset(operation, places, NodeOutput(torch.randn(B, C, 5, 5)), torch.ones(len(places) * C))
    assert built_for == [K, 2, 1]
    assert all(p.is_meta for template in subset._templates.values() for p in template.parameters())
    assert isinstance(operation.op[-1], BatchNorm)
    assert not operation.op[-1].running_mean.is_meta


class Fading(EdgeOperation):
    """Weakens its maps from epoch to epoch."""

    def __init__(self, operation):
        super().__init__(operation.edges)
        self.inner, self.factor = operation, 1.0

    def start_epoch(self, epoch, epochs):
        self.factor = 1 - epoch / epochs

    def on_edges(self, node, scale=None):
        return self.factor * self.inner.on_edges(node, scale)


def test_what_depends_on_the_epoch_is_the_same_on_some_edges_as_on_all():
    def build(edges):
        return Fading(build_edges("dil_conv_3x3", C, 1, edges))

    operation, subset, x = build(K).eval(), Subset(build), torch.randn(B, C, 5, 5)
    for epoch in (1, 3):  # the operation for two edges is made in the first of them
        operation.start_epoch(epoch, 4)
        subset.start_epoch(epoch, 4)
        found = subset(operation, (0, 2), NodeOutput(x), torch.ones(2 * C))
        first, _, third = operation.inner.on_edges(NodeOutput(x)).chunk(K, dim=1)
        torch.testing.assert_close(found, (1 - epoch / 4) * torch.cat([first, third], dim=1))
