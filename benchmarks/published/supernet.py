"""The convolutional search network in the form of the published code: one module per candidate on every edge.

Every map is NCHW, every candidate of every edge is computed on its own, `none` included, and an
edge sums weight * candidate(x). Names in the state dict are the authors'.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from darts_pl.interop import export_supernet
from darts_pl.spaces import CnnSupernet

NODES = 4
EDGES = sum(2 + node for node in range(NODES))


class Zero(nn.Module):
    """Nothing, as a computed map."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride].mul(0.0) if self.stride > 1 else x.mul(0.0)


class Halve(nn.Module):
    """Factorized reduce: half the size, in two interleaved 1x1 convolutions."""

    def __init__(self, inputs: int, outputs: int, affine: bool = False) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], dim=1))


class Layers(nn.Module):
    """Layers in a row, under the name `op`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.op = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


def pooled(pool: type[nn.Module], channels: int, **options: object) -> nn.Module:
    """Pooling, normalised."""
    return nn.Sequential(pool(3, padding=1, **options), nn.BatchNorm2d(channels, affine=False))


def separated(channels: int, kernel: int, stride: int, dilation: int = 1, affine: bool = False) -> list[nn.Module]:
    """ReLU, depthwise convolution, pointwise convolution, BatchNorm."""
    padding = dilation * (kernel // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


#: (channels, stride) -> module, in the order of the alphas' columns.
CANDIDATES: dict[str, Callable[[int, int], nn.Module]] = {
    "none": lambda channels, stride: Zero(stride),
    "max_pool_3x3": lambda channels, stride: pooled(nn.MaxPool2d, channels, stride=stride),
    "avg_pool_3x3": lambda channels, stride: pooled(nn.AvgPool2d, channels, stride=stride, count_include_pad=False),
    "skip_connect": lambda channels, stride: nn.Identity() if stride == 1 else Halve(channels, channels),
    "sep_conv_3x3": lambda channels, stride: Layers(*separated(channels, 3, stride), *separated(channels, 3, 1)),
    "sep_conv_5x5": lambda channels, stride: Layers(*separated(channels, 5, stride), *separated(channels, 5, 1)),
    "dil_conv_3x3": lambda channels, stride: Layers(*separated(channels, 3, stride, dilation=2)),
    "dil_conv_5x5": lambda channels, stride: Layers(*separated(channels, 5, stride, dilation=2)),
}


class MixedEdge(nn.Module):
    """All candidates of one edge, mixed."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self._ops = nn.ModuleList(build(channels, stride) for build in CANDIDATES.values())

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return sum(weight * operation(x) for weight, operation in zip(weights, self._ops, strict=True))


class Cell(nn.Module):
    """A cell with two inputs; the four nodes are concatenated."""

    def __init__(self, before: int, last: int, channels: int, reduction: bool, halve_before: bool) -> None:
        super().__init__()
        self.reduction = reduction
        self.preprocess0 = Halve(before, channels) if halve_before else self._fit(before, channels)
        self.preprocess1 = self._fit(last, channels)
        self._ops = nn.ModuleList(
            MixedEdge(channels, stride=2 if reduction and source < 2 else 1)
            for node in range(NODES)
            for source in range(2 + node)
        )

    @staticmethod
    def _fit(inputs: int, outputs: int) -> nn.Module:
        return Layers(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs, affine=False))

    def forward(self, before: Tensor, last: Tensor, weights: Tensor) -> Tensor:
        states = [self.preprocess0(before), self.preprocess1(last)]
        first = 0
        for _ in range(NODES):
            node = sum(self._ops[first + source](state, weights[first + source]) for source, state in enumerate(states))
            first += len(states)
            states.append(node)
        return torch.cat(states[-NODES:], dim=1)


class PerEdgeSupernet(nn.Module):
    """The whole search network. The alphas are in `alphas`, outside the state dict, as the authors' do.

    Args:
        channels: C of the first cells.
        layers: number of cells.
        classes: number of classes.
    """

    def __init__(self, channels: int = 16, layers: int = 8, classes: int = 10) -> None:
        super().__init__()
        before = last = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(3, last, 3, padding=1, bias=False), nn.BatchNorm2d(last))
        self.cells = nn.ModuleList()
        halve_before = False
        for layer in range(layers):
            reduction = layer in (layers // 3, 2 * layers // 3)
            channels *= 2 if reduction else 1
            self.cells.append(Cell(before, last, channels, reduction, halve_before))
            before, last, halve_before = last, NODES * channels, reduction
        self.global_pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last, classes)
        self.alphas = [(1e-3 * torch.randn(EDGES, len(CANDIDATES))).requires_grad_() for _ in range(2)]

    def forward(self, x: Tensor) -> Tensor:
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last, self.alphas[cell.reduction].softmax(dim=-1))
        return self.classifier(self.global_pooling(last).flatten(1))

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Cross-entropy of (images, labels)."""
        images, labels = batch
        return nn.functional.cross_entropy(self(images), labels)

    weight_loss = loss


def published_supernet(supernet: CnnSupernet, **sizes: int) -> PerEdgeSupernet:
    """The published form of a supernet, with the weights, buffers and alphas of `supernet`.

    Args:
        supernet: over `CANDIDATES`, with 4 nodes.
        sizes: what both were given: channels, layers, classes.
    """
    alphas = [supernet.alphas[name].detach() for name in ("normal", "reduce")]
    network = PerEdgeSupernet(**sizes).to(alphas[0].device, alphas[0].dtype)
    keys = network.load_state_dict(export_supernet(supernet, supernet.state_dict()), strict=False)
    # BatchNorms without affine part count no batches in ours.
    assert not keys.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in keys.missing_keys)
    network.alphas = [alpha.clone().requires_grad_() for alpha in alphas]
    return network
