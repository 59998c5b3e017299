"""What strategies are compared on: a table of trained cells, an objective with a known optimum, a surrogate."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from darts_pl.genotype import from_pairs
from darts_pl.spaces import CellSpace, SearchSpace, build_space
from darts_pl.strategies import Encoding, Evaluation, Features, Integers, Question, TableEvaluator
from published.supernet import CANDIDATES

#: Epochs after which a cell of NAS-Bench-201 is scored, as in the published runs.
EPOCHS = 12
#: Epochs that count as a whole evaluation of the synthetic objective.
FULL_EPOCHS = 54
#: Standard deviation of the synthetic score after half of these epochs.
NOISE = 0.02


def convolutional_encoding() -> Encoding:
    """The paper's convolutional space: two cell types, 4 nodes, 7 operations."""
    return Encoding(build_space("cnn", tuple(CANDIDATES), 4))


def fully_connected_encoding(operations: tuple[str, ...], nodes: int = 3) -> Encoding:
    """A cell with one operation on every edge, as in NAS-Bench-201."""
    edges = nodes * (nodes + 1) // 2
    return Encoding(SearchSpace("rnn", {"recurrent": CellSpace(1, nodes, 1, (operations,) * edges)}), every_edge=True)


class Table:
    """NAS-Bench-201 from a file of arrays, with what strategies may see and what they may not.

    Args:
        path: an npz file with `ops` [15625, 6] (edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3), `op_names`,
            `cifar10_valid_ep12`, `cifar10_test` (percent), `epoch_seconds` and `params`.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            names = tuple(str(name) for name in arrays["op_names"])
            self.encoding = fully_connected_encoding(names)
            self.valid, self.test = arrays["cifar10_valid_ep12"], arrays["cifar10_test"]
            # The encoding numbers edges as the table does: by target node, then by source.
            self.integers = arrays["ops"].astype(np.int64)
            self.epoch_seconds, self.params = arrays["epoch_seconds"], arrays["params"].astype(float)

    def evaluator(self, objectives: int = 1) -> TableEvaluator:
        """Validation accuracy after 12 epochs; the second objective is minus the parameters in millions."""
        scores = [self.valid, -self.params / 1e6][:objectives]
        return TableEvaluator(self.encoding, self.integers, {EPOCHS: np.stack(scores, 1)}, self.epoch_seconds)


class Synthetic:
    """An objective over the convolutional space with interactions and a known, unique optimum of 1.

    Each seed draws a target cell of each type, and a worth of every operation on every edge: 1 for the
    pairs of the target, otherwise uniform between 0 and 0.8. The value of an input node is 1, that of
    another node the mean over its pairs of ``worth * (1 + value of the source) / 2``; a cell is worth the
    mean value of its nodes, and a genotype the product of its cells. So a pair counts for more where its
    source is good, and each cell type for more where the other is good.

    Args:
        seed: which objective.
    """

    def __init__(self, seed: int) -> None:
        self.encoding = convolutional_encoding()
        draw = random.Random(f"objective/{seed}")
        self.optimum: Integers = self.encoding.draw(draw)
        self.worth: dict[tuple[str, int, int, str], float] = {}
        for node in self.encoding.nodes:
            for source in range(node.target):
                for operation in node.operations:
                    self.worth[node.cell, node.target, source, operation] = draw.uniform(0, 0.8)
            for pair in self.encoding.pairs(node, self.optimum):
                self.worth[node.cell, node.target, pair.source, pair.operation] = 1.0

    def value(self, integers: Integers) -> float:
        """The score of a genotype, 0 to 1."""
        values: dict[tuple[str, int], float] = {}
        for node in self.encoding.nodes:
            parts = [
                self.worth[node.cell, node.target, pair.source, pair.operation]
                * (1 + values.get((node.cell, pair.source), 1.0))
                / 2
                for pair in self.encoding.pairs(node, integers)
            ]
            values[node.cell, node.target] = sum(parts) / len(parts)
        cells: dict[str, list[float]] = {}
        for (cell, _), value in values.items():
            cells.setdefault(cell, []).append(value)
        return math.prod(sum(one) / len(one) for one in cells.values())

    def __call__(self, question: Question) -> Evaluation:
        """The value, and 1 simulated second; after fewer epochs a noisy value, and a part of a second."""
        value = self.value(question.integers)
        if question.epochs is None or question.epochs >= FULL_EPOCHS:
            return Evaluation((value,), 1.0)
        noise = random.Random(f"{question.integers}/{question.epochs}").gauss(0, 1)
        deviation = NOISE * math.sqrt(FULL_EPOCHS / question.epochs - 1)
        return Evaluation((value + deviation * noise,), question.epochs / FULL_EPOCHS)


class Surrogate:
    """A ridge regression on which operation is on which edge, fitted to scored cells of the DARTS space.

    Args:
        path: an npz file with `source` and `ops` [cells, 2, 8] (normal, reduce; two pairs per node),
            `op_names`, and `valid` in percent.
        penalty: of the ridge.
    """

    def __init__(self, path: Path, penalty: float = 1.0) -> None:
        self.encoding = convolutional_encoding()
        with np.load(path) as arrays:
            data: Mapping[str, np.ndarray] = dict(arrays)
        names = [str(name) for name in data["op_names"]]
        genotypes = []
        for sources, operations in zip(data["source"].tolist(), data["ops"].tolist(), strict=True):
            cells = {}
            for name, source, operation in zip(("normal", "reduce"), sources, operations, strict=True):
                pairs = [(names[one], index) for one, index in zip(operation, source, strict=True)]
                cells[name] = (pairs, [2, 3, 4, 5])
            genotypes.append(self.encoding.encode(from_pairs("cnn", cells)))
        self.features = Features(self.encoding)
        matrix, targets = self.features.matrix(genotypes), data["valid"].astype(float)
        self.mean = float(targets.mean())
        center = matrix.mean(0)
        gram = (matrix - center).T @ (matrix - center) + penalty * np.eye(matrix.shape[1])
        self.weights = np.linalg.solve(gram, (matrix - center).T @ (targets - self.mean))
        self.offset = self.mean - float(center @ self.weights)

    def value(self, integers: Integers) -> float:
        """The predicted accuracy in percent."""
        return float(self.features.matrix([integers])[0] @ self.weights) + self.offset

    def best(self) -> float:
        """The greatest prediction in the whole space: the prediction is a sum over nodes, each of which is searched."""
        current = self.encoding.draw(random.Random(0))
        for node in self.encoding.nodes:
            options = [current]
            for index in range(node.first, node.stop):
                options += [move for one in options for move in self.encoding.moves(one, index)]
            values = self.features.matrix(options) @ self.weights
            current = options[int(values.argmax())]
        return self.value(current)

    def __call__(self, question: Question) -> Evaluation:
        return Evaluation((self.value(question.integers),), 1.0)
