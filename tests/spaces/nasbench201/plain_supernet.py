"""The NAS-Bench-201 search network written edge by edge from its description, as functions of plain tensors.

Every candidate of every edge is computed apart: the independent reference and the yardstick of
speed for the product's supernet. Tensors go by the published names, `cells.{i}.edges.{target}<-{source}.{o}`
being candidate o of an edge; a convolution may have a bias.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

State = Mapping[str, Tensor]
#: (candidates of an edge, its source's map, its row of mixing weights) -> what the edge brings
Edge = Callable[[list[Callable[[Tensor], Tensor]], Tensor, Tensor], Tensor]

EDGES = [(source, target) for target in (1, 2, 3) for source in range(target)]


def batch_statistics(name: str) -> bool:
    """The choice `stored` of no BatchNorm."""
    return False


def norm(x: Tensor, state: State, name: str, stored: Callable[[str], bool], affine: bool = True) -> Tensor:
    """BatchNorm called `name`, with its stored statistics or those of the batch."""
    if stored(name):
        mean, variance = (state[f"{name}.running_{what}"].view(1, -1, 1, 1) for what in ("mean", "var"))
    else:
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    out = (x - mean) / (variance + 1e-5).sqrt()
    if affine and f"{name}.weight" in state:
        out = out * state[f"{name}.weight"].view(1, -1, 1, 1) + state[f"{name}.bias"].view(1, -1, 1, 1)
    return out


def convolution(x: Tensor, state: State, name: str, stride: int, stored: Callable[[str], bool]) -> Tensor:
    """ReLU, convolution, BatchNorm."""
    weight = state[f"{name}.op.1.weight"]
    out = functional.conv2d(x.relu(), weight, state.get(f"{name}.op.1.bias"), stride, padding=weight.shape[-1] // 2)
    return norm(out, state, f"{name}.op.2", stored)


def candidates(state: State, name: str, stored: Callable[[str], bool]) -> list[Callable[[Tensor], Tensor]]:
    """none, skip_connect, nor_conv_1x1, nor_conv_3x3 and avg_pool_3x3 of one edge."""
    return [
        torch.zeros_like,
        lambda x: x,
        lambda x: convolution(x, state, f"{name}.2", 1, stored),
        lambda x: convolution(x, state, f"{name}.3", 1, stored),
        lambda x: functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    ]


def mixed(operations: list[Callable[[Tensor], Tensor]], x: Tensor, weights: Tensor) -> Tensor:
    """DARTS: the weighted sum of all candidates."""
    return sum(weight * operation(x) for weight, operation in zip(weights, operations, strict=True))


def drawn(operations: list[Callable[[Tensor], Tensor]], x: Tensor, weights: Tensor) -> Tensor:
    """GDAS in this space: the drawn candidate, plus the scalars (of value zero) of the others."""
    chosen = int(weights.argmax())
    others = [weight for column, weight in enumerate(weights) if column != chosen]
    return weights[chosen] * operations[chosen](x) + sum(others)


def partial(k: int) -> Edge:
    """DrNAS with partial channels: candidates read the first channels, the others pass by, all are shuffled."""

    def edge(operations: list[Callable[[Tensor], Tensor]], x: Tensor, weights: Tensor) -> Tensor:
        first = x.shape[1] // k
        together = torch.cat([mixed(operations, x[:, :first], weights), x[:, first:]], dim=1)
        return together.unflatten(1, (k, first)).transpose(1, 2).flatten(1, 2)

    return edge


def cell(x: Tensor, state: State, name: str, weights: Tensor, stored: Callable[[str], bool], edge: Edge) -> Tensor:
    """One cell; its output is the last node."""
    nodes = [x]
    for target in (1, 2, 3):
        parts = [
            edge(candidates(state, f"{name}.edges.{target}<-{source}", stored), nodes[source], weights[number])
            for number, (source, end) in enumerate(EDGES)
            if end == target
        ]
        nodes.append(sum(parts))
    return nodes[-1]


def features(
    x: Tensor,
    state: State,
    weights: Tensor,
    *,
    stored: Callable[[str], bool] = batch_statistics,
    last_affine: bool = True,
    edge: Edge = mixed,
) -> Tensor:
    """What the linear head reads.

    Args:
        x: images [B, channels, H, W].
        state: weights and, where `stored` asks for them, running statistics.
        weights: mixing weights [6, 5], shared by all cells.
        stored: by the name of a BatchNorm, whether it uses its stored statistics.
        last_affine: whether the last BatchNorm has its affine part.
        edge: how an edge combines its candidates.
    """
    x = norm(functional.conv2d(x, state["stem.0.weight"], padding=1), state, "stem.1", stored)
    numbers = sorted({int(name.split(".")[1]) for name in state if name.startswith("cells.")})
    for name in (f"cells.{number}" for number in numbers):
        if f"{name}.downsample.1.weight" in state:
            shortcut = functional.conv2d(functional.avg_pool2d(x, 2), state[f"{name}.downsample.1.weight"])
            main = convolution(x, state, f"{name}.conv_a", 2, stored)
            x = shortcut + convolution(main, state, f"{name}.conv_b", 1, stored)
        else:
            x = cell(x, state, name, weights, stored, edge)
    return norm(x, state, "lastact.0", stored, last_affine).relu().mean((2, 3))


def logits(x: Tensor, state: State, weights: Tensor, **choices: object) -> Tensor:
    """Logits of the whole search network; for the arguments see `features`."""
    return features(x, state, weights, **choices) @ state["classifier.weight"].T + state["classifier.bias"]
