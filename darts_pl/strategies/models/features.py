"""Genotypes as vectors: which operation is on which edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darts_pl.strategies.encoding import Encoding, Node


class Features:
    """One number per (cell type, edge, operation): 1 where a genotype has it, else 0.

    Half the squared distance of two vectors is the edit distance of their genotypes: the number of
    pairs (operation, source) that one of them has and the other lacks.

    Args:
        encoding: the decisions of the space.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self._columns: list[np.ndarray] = []  # per node [sets of sources, position, operation]
        start = 0
        for node in encoding.nodes:
            sources = sorted({source for sources in node.inputs for source in sources})
            places = {source: index for index, source in enumerate(sources)}
            rows = np.array([[places[source] for source in one] for one in node.inputs])
            operations = np.arange(len(node.operations))
            self._columns.append(start + rows[:, :, None] * len(operations) + operations)
            start += len(sources) * len(operations)
        self.size = start
        self._mean = np.zeros(start)
        for node, columns in zip(encoding.nodes, self._columns, strict=True):
            for chosen, edges in enumerate(node.allowed):
                for position, allowed in enumerate(edges):
                    self._mean[columns[chosen, position, list(allowed)]] += 1 / (len(node.inputs) * len(allowed))

    def matrix(self, genotypes: Sequence[Sequence[int]], nodes: int | None = None) -> np.ndarray:
        """The vectors [genotypes, size] of genotypes as integers.

        Args:
            genotypes: the integers [genotypes, decisions].
            nodes: how many of the encoding's nodes count as decided; a node after them gets the mean of
                a uniformly drawn genotype. None = all.
        """
        integers = np.asarray(genotypes, dtype=np.int64).reshape(len(genotypes), len(self.encoding))
        found = np.zeros((len(integers), self.size))
        decided = len(self._columns) if nodes is None else nodes
        for node, columns in zip(self.encoding.nodes[:decided], self._columns, strict=False):
            self._fill(found, node, columns, integers)
        if decided < len(self._columns):
            start = int(self._columns[decided].min())
            found[:, start:] = self._mean[start:]
        return found

    @staticmethod
    def _fill(found: np.ndarray, node: Node, columns: np.ndarray, integers: np.ndarray) -> None:
        rows = np.arange(len(integers))
        chosen = integers[:, node.first] if node.decides_inputs else np.zeros(len(integers), dtype=np.int64)
        for position in range(node.edges):
            found[rows, columns[chosen, position, integers[:, node.first_operation + position]]] = 1
