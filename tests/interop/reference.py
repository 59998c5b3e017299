"""The authors' networks for images, laid out as cnn/operations.py, cnn/model.py and cnn/model_search.py lay them out.

Plain modules that only share the attribute names with the authors' code: what their `state_dict` calls a
tensor is what a published checkpoint calls it. Nothing here comes from the package.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Pairs = Sequence[tuple[str, int]]


class Op(nn.Module):
    """Layers under the attribute `op`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), *layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Reduce(nn.Module):
    def __init__(self, inside: int, outside: int, affine: bool) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(inside, outside // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(inside, outside // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(outside, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], dim=1))


class Zero(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x[:, :, :: self.stride, :: self.stride]


def depthwise(channels: int, kernel: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    return [
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
    ]


def operation(name: str, channels: int, stride: int, affine: bool) -> nn.Module:
    """One entry of the table of operations."""
    norm = nn.BatchNorm2d(channels, affine=affine)
    if name == "none":
        return Zero(stride)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Reduce(channels, channels, affine)
    if name == "conv_7x1_1x7":  # the one that is not wrapped
        rows = nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False)
        return nn.Sequential(
            nn.ReLU(), rows, nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False), norm
        )
    kernel = int(name[-1])
    if name.startswith("dil_conv"):
        return Op(*depthwise(channels, kernel, stride, dilation=2), norm)
    first = depthwise(channels, kernel, stride)
    middle = nn.BatchNorm2d(channels, affine=affine)
    return Op(*first, middle, nn.ReLU(), *depthwise(channels, kernel, 1), norm)


class Mixed(nn.Module):
    """One edge of the search network, with equal weights."""

    def __init__(self, candidates: Sequence[str], channels: int, stride: int) -> None:
        super().__init__()
        self._ops = nn.ModuleList()
        for name in candidates:
            entry = operation(name, channels, stride, affine=False)
            pooling = "pool" in name
            self._ops.append(nn.Sequential(entry, nn.BatchNorm2d(channels, affine=False)) if pooling else entry)

    def forward(self, x: Tensor) -> Tensor:
        return sum(entry(x) for entry in self._ops) / len(self._ops)


class Cell(nn.Module):
    def __init__(self, widths: tuple[int, int, int], reduced_before: bool, affine: bool) -> None:
        super().__init__()
        before, last, channels = widths
        norm = nn.BatchNorm2d(channels, affine=affine)
        plain = Op(nn.Conv2d(before, channels, 1, bias=False), norm)
        self.preprocess0 = Reduce(before, channels, affine) if reduced_before else plain
        self.preprocess1 = Op(nn.Conv2d(last, channels, 1, bias=False), nn.BatchNorm2d(channels, affine=affine))
        self._ops = nn.ModuleList()
        self.sources: list[list[int]] = []
        self.concat: Sequence[int] = ()

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        states = [self.preprocess0(before), self.preprocess1(last)]
        entries = iter(self._ops)
        for sources in self.sources:
            states.append(sum(next(entries)(states[source]) for source in sources))
        return torch.cat([states[node] for node in self.concat], dim=1)


def conv_norm(inside: int, outside: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outside)]


class Network(nn.Module):
    """A final network (`cells`: pairs and concatenated nodes by cell type), or a search network (`candidates`)."""

    def __init__(
        self,
        channels: int,
        classes: int,
        layers: int,
        *,
        cells: dict[str, tuple[Pairs, Sequence[int]]] | None = None,
        candidates: Sequence[str] = (),
        nodes: int = 4,
        stem: str = "cifar",
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        if stem == "cifar":
            self.stem = nn.Sequential(*conv_norm(3, 3 * channels, 1))
            before = last = 3 * channels
        else:
            self.stem0 = nn.Sequential(
                *conv_norm(3, channels // 2, 2), nn.ReLU(), *conv_norm(channels // 2, channels, 2)
            )
            self.stem1 = nn.Sequential(nn.ReLU(), *conv_norm(channels, channels, 2))
            before = last = channels
        reduced = stem != "cifar"
        self.cells = nn.ModuleList()
        for layer in range(layers):
            reduction = layer in (layers // 3, 2 * layers // 3)
            channels *= 1 + reduction
            cell = Cell((before, last, channels), reduced, affine=cells is not None)
            if cells is not None:
                pairs, cell.concat = cells["reduce" if reduction else "normal"]
                cell.sources = [[pair[1] for pair in pairs[i : i + 2]] for i in range(0, len(pairs), 2)]
                for name, source in pairs:
                    cell._ops.append(operation(name, channels, 2 if reduction and source < 2 else 1, affine=True))
            else:
                cell.concat = range(2, 2 + nodes)
                cell.sources = [list(range(2 + node)) for node in range(nodes)]
                for source in (source for sources in cell.sources for source in sources):
                    cell._ops.append(Mixed(candidates, channels, 2 if reduction and source < 2 else 1))
            self.cells.append(cell)
            before, last, reduced = last, len(cell.concat) * channels, reduction
            if layer == 2 * layers // 3 and auxiliary:
                self.auxiliary_head = Tower(last, classes, stem)
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "stem"):
            before = last = self.stem(x)
        else:
            before = self.stem0(x)
            last = self.stem1(before)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.classifier(last.mean((2, 3)))


class Tower(nn.Module):
    """The auxiliary head; never run here."""

    def __init__(self, channels: int, classes: int, stem: str) -> None:
        super().__init__()
        narrow = [nn.Conv2d(channels, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU()]
        wide = [nn.Conv2d(128, 768, 2, bias=False), *([nn.BatchNorm2d(768)] if stem == "cifar" else [])]
        self.features = nn.Sequential(nn.ReLU(), nn.AvgPool2d(5), *narrow, *wide)
        self.classifier = nn.Linear(768, classes)


def randomised(network: Network) -> Network:
    """In evaluation mode, with every tensor of the state dict drawn at random (variances positive)."""
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if name.endswith("running_var") else 0.3 * torch.randn_like(value))
        else:
            value.fill_(7)
    return network.eval()
