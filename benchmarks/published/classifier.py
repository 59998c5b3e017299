"""The final network for images in the form of the published code: plain modules in NCHW."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.published.supernet import Halve, Layers, separated
from darts_pl.genotype import CellGenotype, Genotype
from darts_pl.interop import export_network
from darts_pl.spaces import Classifier

AUXILIARY_WEIGHT = 0.4


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """A candidate as a final network has it: BatchNorm with scale and shift, poolings bare."""
    kernel = int(name[-1]) if name[-1].isdigit() else 0
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride=stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halve(channels, channels, affine=True)
    if name.startswith("sep_conv"):
        first, second = (separated(channels, kernel, size, affine=True) for size in (stride, 1))
        return Layers(*first, *second)
    return Layers(*separated(channels, kernel, stride, dilation=2, affine=True))


def fit(inputs: int, outputs: int) -> nn.Module:
    """ReLU, 1x1 convolution, BatchNorm."""
    return Layers(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


class Cell(nn.Module):
    """A cell of a genotype, two edges per node."""

    def __init__(self, cell: CellGenotype, before: int, last: int, channels: int, reduction: bool, halve: bool) -> None:
        super().__init__()
        self.preprocess0 = Halve(before, channels, affine=True) if halve else fit(before, channels)
        self.preprocess1 = fit(last, channels)
        self.sources = [pair.source for pair in cell.pairs]
        self.concat = cell.concat
        self._ops = nn.ModuleList(
            operation(pair.operation, channels, 2 if reduction and pair.source < 2 else 1) for pair in cell.pairs
        )

    def forward(self, before: Tensor, last: Tensor, drop_path: float) -> Tensor:
        states = [self.preprocess0(before), self.preprocess1(last)]
        for first in range(0, len(self._ops), 2):
            maps = []
            for edge in (first, first + 1):
                part = self._ops[edge](states[self.sources[edge]])
                if drop_path > 0 and not isinstance(self._ops[edge], nn.Identity):
                    part = dropped(part, drop_path)
                maps.append(part)
            states.append(maps[0] + maps[1])
        return torch.cat([states[node] for node in self.concat], dim=1)


def dropped(x: Tensor, probability: float) -> Tensor:
    """x, zero for a sample with that probability, in place."""
    keep = 1 - probability
    kept = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
    return x.div_(keep).mul_(kept)


class Tower(nn.Module):
    """The auxiliary head on a map of 8x8."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.AvgPool2d(5, stride=3, padding=0, count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class PlainClassifier(nn.Module):
    """Stem, cells, head, and the tower behind the cell at 2/3 of the depth.

    Args:
        genotype: two edges per node.
        channels: C of the first cells.
        layers: number of cells.
        classes: number of classes.
    """

    def __init__(self, genotype: Genotype, channels: int, layers: int, classes: int) -> None:
        super().__init__()
        before = last = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(3, last, 3, padding=1, bias=False), nn.BatchNorm2d(last))
        self.cells = nn.ModuleList()
        self.drop_path, self.tower_after = 0.0, 2 * layers // 3
        halve = False
        for layer in range(layers):
            reduction = layer in (layers // 3, 2 * layers // 3)
            channels *= 2 if reduction else 1
            cell = genotype.cells["reduce" if reduction else "normal"]
            self.cells.append(Cell(cell, before, last, channels, reduction, halve))
            before, last, halve = last, channels * len(cell.concat), reduction
            if layer == self.tower_after:
                self.auxiliary_head = Tower(last, classes)
        self.global_pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        before = last = self.stem(x)
        auxiliary = None
        for layer, cell in enumerate(self.cells):
            before, last = last, cell(before, last, self.drop_path)
            if layer == self.tower_after:
                auxiliary = self.auxiliary_head(last)
        assert auxiliary is not None
        return self.classifier(self.global_pooling(last).flatten(1)), auxiliary

    def weight_loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Cross-entropy of (images, labels), with that of the tower."""
        images, labels = batch
        logits, auxiliary = self(images)
        of_tower = nn.functional.cross_entropy(auxiliary, labels)
        return nn.functional.cross_entropy(logits, labels) + AUXILIARY_WEIGHT * of_tower


def published_classifier(ours: Classifier, genotype: Genotype, **sizes: int) -> PlainClassifier:
    """The published form of a classifier with a tower, with its weights.

    Args:
        ours: built from `genotype` and `sizes`.
        genotype: two edges per node.
        sizes: channels, layers, classes.
    """
    network = PlainClassifier(genotype, **sizes)
    weight = ours.classifier.weight
    network = network.to(weight.device, weight.dtype)
    network.load_state_dict(export_network(ours.state_dict()))
    return network
