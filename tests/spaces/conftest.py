"""The search network written edge by edge from its description, as plain functions of plain tensors.

Tensors go by the published names: `cells.{i}._ops.{e}._ops.{o}` is candidate o on edge e. Batch
statistics everywhere (training mode).
"""

from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

State = Mapping[str, Tensor]


def norm(x: Tensor) -> Tensor:
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt()


def convolution(x: Tensor, state: State, name: str, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    return functional.conv2d(x, weight, None, stride, padding, dilation, groups=x.shape[1] // weight.shape[1])


def factorized_reduce(x: Tensor, state: State, name: str) -> Tensor:
    x = functional.pad(x.relu(), (0, x.shape[3] % 2, 0, x.shape[2] % 2))
    shifted = functional.pad(x[:, :, 1:, 1:], (0, 1, 0, 1))
    return norm(
        torch.cat([convolution(x, state, f"{name}.conv_1", 2), convolution(shifted, state, f"{name}.conv_2", 2)], 1)
    )


def candidate(operation: str, x: Tensor, state: State, name: str, stride: int) -> Tensor:
    if operation == "skip_connect":
        return x if stride == 1 else factorized_reduce(x, state, name)
    if operation == "max_pool_3x3":
        return norm(functional.max_pool2d(x, 3, stride, 1))
    if operation == "avg_pool_3x3":
        return norm(functional.avg_pool2d(x, 3, stride, 1, count_include_pad=False))
    kernel = int(operation[-1])
    if operation.startswith("dil_conv"):
        x = convolution(x.relu(), state, f"{name}.op.1", stride, kernel - 1, 2)
        return norm(convolution(x, state, f"{name}.op.2"))
    x = convolution(x.relu(), state, f"{name}.op.1", stride, kernel // 2)
    x = norm(convolution(x, state, f"{name}.op.2")).relu()
    return norm(convolution(convolution(x, state, f"{name}.op.5", 1, kernel // 2), state, f"{name}.op.6"))


def preprocessed(x: Tensor, state: State, name: str) -> Tensor:
    if f"{name}.conv_1.weight" in state:
        return factorized_reduce(x, state, name)
    return norm(convolution(x.relu(), state, f"{name}.op.1"))


def cell(
    number: int,
    before: Tensor,
    last: Tensor,
    candidates: Sequence[Sequence[str]],
    weights: Tensor,
    state: State,
    reduction: bool,
) -> Tensor:
    """One cell: edges node by node and inside a node by source; every candidate of every edge computed apart."""
    states = [preprocessed(x, state, f"cells.{number}.preprocess{i}") for i, x in enumerate((before, last))]
    edge = 0
    while edge < len(candidates):
        total = torch.zeros(())
        for source in range(len(states)):
            stride = 2 if reduction and source < 2 else 1
            for column, operation in enumerate(candidates[edge]):
                if operation != "none":
                    name = f"cells.{number}._ops.{edge}._ops.{column}"
                    total = total + weights[edge, column] * candidate(operation, states[source], state, name, stride)
            edge += 1
        states.append(total)
    return torch.cat(states[2:], dim=1)


def network(
    x: Tensor,
    state: State,
    layers: int,
    candidates: Mapping[str, Sequence[Sequence[str]]],
    weights: Mapping[str, Tensor],
) -> Tensor:
    """Logits of the whole search network."""
    stem = norm(convolution(x, state, "stem.0", padding=1))
    last = stem * state["stem.1.weight"].view(1, -1, 1, 1) + state["stem.1.bias"].view(1, -1, 1, 1)
    before = last
    for number in range(layers):
        reduction = number in (layers // 3, 2 * layers // 3)
        kind = "reduce" if reduction else "normal"
        before, last = last, cell(number, before, last, candidates[kind], weights[kind], state, reduction)
    return last.mean((2, 3)) @ state["classifier.weight"].T + state["classifier.bias"]


@pytest.fixture
def edge_by_edge() -> Callable[..., Tensor]:
    """`network`."""
    return network
