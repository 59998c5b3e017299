"""K parallel edges against K separate ones, for every registered operation."""

import math

import pytest
import torch

from darts_pl.ops import EdgeByEdge, NodeOutput, build, build_edges, names

C, K, B = 4, 3, 2
SIZES = [(8, 8), (7, 7), (8, 5)]

#: Noise draws other numbers in every call, so it is not compared here; see test_noise.py.
NAMES = [name for name in names() if name != "noise"]

every_operation = pytest.mark.parametrize("name", NAMES)
every_stride = pytest.mark.parametrize("stride", [1, 2])
every_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))


def tensors_of(operation):
    """Its parameters and floating-point buffers by name."""
    return {name: values for name, values in operation.state_dict(keep_vars=True).items() if values.is_floating_point()}


def counterpart(operation, values, name, edge):
    """The name and the slice of a tensor of K edges that one separate edge has."""
    if operation.shared:
        return name, values
    if isinstance(operation, EdgeByEdge):
        _, number, inner = name.split(".", 2)
        return (f"each.0.{inner}", values) if int(number) == edge else (None, values)
    return name, values.chunk(K)[edge]


def together_and_apart(name, stride):
    """The operation on K edges, and on each of them alone with the same weights and buffers, in float64."""
    together = build_edges(name, C, stride, K).double()
    for values in tensors_of(together).values():
        torch.nn.init.uniform_(values, 0.3, 1.3)
    apart = []
    for edge in range(K):
        operation = build_edges(name, C, stride, 1).double()
        own = tensors_of(operation)
        for key, values in tensors_of(together).items():
            target, part = counterpart(together, values, key, edge)
            if target is not None:
                assert own[target].shape == part.shape
                own.pop(target).detach().copy_(part.detach())
        assert not own
        apart.append(operation)
    return together, apart


def image(size, dtype=torch.float64):
    return torch.randn(B, C, *size, dtype=dtype).contiguous(memory_format=torch.channels_last)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@every_operation
@every_stride
@every_size
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_k_edges_give_the_maps_and_the_gradients_of_k_separate_operations(name, stride, size, training):
    together, apart = together_and_apart(name, stride)
    x = image(size).requires_grad_()
    together.train(training)
    found = together.on_edges(NodeOutput(x))
    maps = [operation.train(training)(x) for operation in apart]
    expected = maps[0] if together.shared else torch.cat(maps, dim=1)
    close(found, expected)
    if together.shared:
        assert all(torch.equal(other, maps[0]) for other in maps[1:])
    if not found.requires_grad:
        return
    cotangent = torch.randn_like(found)
    parameters = dict(together.named_parameters())
    gradients = torch.autograd.grad(found, [x, *parameters.values()], cotangent)
    close(gradients[0], torch.autograd.grad(expected, x, cotangent, retain_graph=True)[0])
    for edge, operation in enumerate(apart):
        own = dict(operation.named_parameters())
        theirs = {}
        if own:
            found_apart = torch.autograd.grad(expected, list(own.values()), cotangent, retain_graph=True)
            theirs = dict(zip(own, found_apart, strict=True))
        for key, gradient in zip(parameters, gradients[1:], strict=True):
            target, part = counterpart(together, gradient, key, edge)
            if target is not None:
                close(part, theirs.pop(target))
        assert not theirs
    for key, values in tensors_of(together).items():  # running statistics moved alike
        for edge, operation in enumerate(apart):
            target, part = counterpart(together, values, key, edge)
            if target is not None:
                close(part.detach(), tensors_of(operation)[target].detach())


@pytest.mark.parametrize(
    ("name", "stride"),  # where one map serves all edges, the caller mixes it
    [(name, stride) for name in NAMES for stride in (1, 2) if not build_edges(name, C, stride, 1).shared],
)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("edges", [1, K])
def test_a_scale_equals_multiplying_each_edge_afterwards(name, stride, training, edges):
    operation = build_edges(name, C, stride, edges).double().train(training)
    node = image((7, 8)).requires_grad_()
    weights = torch.rand(edges, dtype=torch.float64).requires_grad_()
    inputs = [node, weights, *operation.parameters()]
    scaled = operation.on_edges(NodeOutput(node), weights.unsqueeze(1).expand(-1, C).flatten())
    plain = operation.on_edges(NodeOutput(node)).unflatten(1, (edges, C))
    expected = (plain * weights.view(1, -1, 1, 1, 1)).flatten(1, 2)
    close(scaled, expected)
    cotangent = torch.randn_like(scaled)
    for found, other in zip(
        torch.autograd.grad(scaled, inputs, cotangent), torch.autograd.grad(expected, inputs, cotangent), strict=True
    ):
        close(found, other)


@every_operation
@every_stride
@every_size
def test_a_map_becomes_stride_times_smaller_rounded_up_and_keeps_channels_last(name, stride, size):
    expected = tuple(math.ceil(side / stride) for side in size)
    x = image(size, torch.float32)
    for operation, channels in ((build(name, C, stride), C), (build_edges(name, C, stride, K), K * C)):
        shared = getattr(operation, "shared", False)
        found = operation.on_edges(NodeOutput(x)) if hasattr(operation, "on_edges") else operation(x)
        assert found.shape == (B, C if shared else channels, *expected)
        assert found.is_contiguous(memory_format=torch.channels_last)


@every_operation
def test_operations_of_a_search_have_no_affine_part_and_those_of_a_final_network_do(name):
    for stride in (1, 2):
        norms = {True: [], False: []}
        for final in (True, False):
            operation = build(name, C, stride) if final else build_edges(name, C, stride, 1)
            norms[final] = [m for m in operation.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert all(norm.affine for norm in norms[True])
        assert not any(norm.affine for norm in norms[False])


@every_operation
def test_an_operation_reads_a_node_that_others_have_read_before(name):
    node = NodeOutput(image((8, 8)))
    raw = node.raw.clone()
    together, apart = together_and_apart(name, 1)
    first = together.on_edges(node)
    again = together.on_edges(node)
    assert torch.equal(node.raw, raw)
    assert torch.equal(first, again)
    for operation in apart:
        assert torch.equal(operation.on_edges(node), operation(raw))


@every_operation
@every_stride
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (7, 7), (8, 5), (64, 64)], ids=str)
def test_float32_gradients_are_those_of_float64(name, stride, size):
    operation, _ = together_and_apart(name, stride)
    operation.eval()
    x, gradients = image(size), []
    cotangent = torch.randn_like(operation.on_edges(NodeOutput(x)))
    for dtype in (torch.float64, torch.float32):
        node = x.detach().to(dtype).requires_grad_()
        found = operation.to(dtype).on_edges(NodeOutput(node))
        inputs = [node, *operation.parameters()]
        gradients.append([part.double() for part in torch.autograd.grad(found, inputs, cotangent.to(dtype))])
    for exact, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-5 * max(exact.abs().max().item(), 1e-3))
