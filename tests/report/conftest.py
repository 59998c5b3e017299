"""Genotypes to draw: published ones, deep ones, random ones."""

import numpy as np
import pytest

from darts_pl.genotype import Genotype, from_pairs

NAMES = {
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "sep7": "sep_conv_7x7",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "skip": "skip_connect",
    "conv7": "conv_7x1_1x7",
}


def _pairs(text: str) -> list[tuple[str, int]]:
    words = text.split()
    return [(NAMES.get(name, name), int(source)) for name, source in zip(words[::2], words[1::2], strict=True)]


def _cnn(normal: str, normal_concat: list[int], reduce: str, reduce_concat: list[int]) -> Genotype:
    return from_pairs("cnn", {"normal": (_pairs(normal), normal_concat), "reduce": (_pairs(reduce), reduce_concat)})


DARTS_V2 = _cnn(
    "sep3 0 sep3 1 sep3 0 sep3 1 sep3 1 skip 0 skip 0 dil3 2",
    [2, 3, 4, 5],
    "max 0 max 1 skip 2 max 1 max 0 skip 2 skip 2 max 1",
    [2, 3, 4, 5],
)
NASNET_A = _cnn(
    "sep5 1 sep3 0 sep5 0 sep3 0 avg 1 skip 0 avg 0 avg 0 sep3 1 skip 1",
    [2, 3, 4, 5, 6],
    "sep5 1 sep7 0 max 1 sep7 0 avg 1 sep5 0 skip 3 avg 2 sep3 2 max 1",
    [4, 5, 6],
)
AMOEBANET_A = _cnn(
    "avg 0 max 1 sep3 0 sep5 2 sep3 0 avg 3 sep3 1 skip 1 skip 0 avg 1",
    [4, 5, 6],
    "avg 0 sep3 1 max 0 sep7 2 sep7 0 avg 1 max 0 max 1 conv7 0 sep3 5",
    [3, 4, 6],
)
DARTS_V2_RNN = from_pairs(
    "rnn",
    {
        "recurrent": (
            _pairs("sigmoid 0 relu 1 relu 1 identity 1 tanh 2 sigmoid 5 tanh 3 relu 5"),
            list(range(1, 9)),
        )
    },
)
PUBLISHED = {
    "darts_v2": DARTS_V2,
    "nasnet_a": NASNET_A,
    "amoebanet_a": AMOEBANET_A,
    "darts_v2_rnn": DARTS_V2_RNN,
}


def chain(nodes: int) -> Genotype:
    """The deepest cell there is: every node reads the one before it, and an input."""
    pairs = [pair for node in range(nodes) for pair in (("conv_7x1_1x7", node + 1), ("max_pool_3x3", 0))]
    cell = (pairs, [nodes + 1])
    return from_pairs("cnn", {"normal": cell, "reduce": cell})


def random_genotype(seed: int) -> Genotype:
    """Any genotype: 1 to 7 nodes, each with 0 to 3 inputs (mostly 2) from anywhere, any nodes concatenated,
    and all that nothing reads."""
    rng = np.random.default_rng(seed)
    kind = "rnn" if seed % 4 == 3 else "cnn"
    cells, inputs = {}, {}
    for cell_type in ("recurrent",) if kind == "rnn" else ("normal", "reduce"):
        first = 1 if kind == "rnn" else 2
        names = ["tanh", "relu", "sigmoid", "identity"] if kind == "rnn" else list(NAMES.values())
        sizes = rng.choice([0, 1, 2, 3], p=[0.02, 0.08, 0.8, 0.1], size=int(rng.integers(1, 8))).tolist()
        if kind == "rnn":
            sizes = [1] * (len(sizes) + 2)
        pairs = [
            (str(rng.choice(names)), int(rng.integers(first + node)))
            for node, size in enumerate(sizes)
            for _ in range(size)
        ]
        nodes = np.arange(first, first + len(sizes))
        concat = rng.choice(nodes, size=int(rng.integers(1, len(nodes) + 1)), replace=False)
        concat = np.union1d(concat, np.setdiff1d(nodes, [source for _, source in pairs])).tolist()
        cells[cell_type], inputs[cell_type] = (pairs, concat), sizes
    return from_pairs(kind, cells, inputs)


EVERYTHING = {
    **PUBLISHED,
    "chain_of_7": chain(7),
    **{f"random_{seed}": random_genotype(seed) for seed in range(6)},
}


@pytest.fixture(params=EVERYTHING.values(), ids=EVERYTHING.keys())
def genotype(request: pytest.FixtureRequest) -> Genotype:
    """Each of many genotypes."""
    return request.param


@pytest.fixture
def darts_v2() -> Genotype:
    return DARTS_V2


@pytest.fixture
def nasnet_a() -> Genotype:
    return NASNET_A


@pytest.fixture
def darts_v2_rnn() -> Genotype:
    return DARTS_V2_RNN
