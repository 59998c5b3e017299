"""Published genotypes by name, each with its source."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from darts_pl.genotype import NONE, Genotype, from_pairs
from darts_pl.registry import Registry

_log = logging.getLogger(__name__)

_SHORT = {
    "avg": "avg_pool_3x3",
    "max": "max_pool_3x3",
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "sep7": "sep_conv_7x7",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
    "conv7": "conv_7x1_1x7",
}


class Published(NamedTuple):
    """A published genotype and where it was published."""

    genotype: Genotype
    source: str


def _cell(text: str, concat: range | list[int]) -> tuple[list[tuple[str, int]], list[int]]:
    """One cell from "sep3 0, skip 1 | ..."; the bars only mark the nodes."""
    words = [pair.split() for pair in text.replace("|", ",").split(",")]
    return [(_SHORT.get(operation, operation), int(source)) for operation, source in words], list(concat)


def _cnn(normal: str, normal_concat: range | list[int], reduce: str, reduce_concat: range | list[int]) -> Genotype:
    return from_pairs("cnn", {"normal": _cell(normal, normal_concat), "reduce": _cell(reduce, reduce_concat)})


def _rnn(cell: str, concat: range | list[int]) -> Genotype:
    return from_pairs("rnn", {"recurrent": _cell(cell, concat)})


_TABLE: dict[str, Published] = {
    "darts_v1": Published(
        _cnn(
            "sep3 1, sep3 0 | skip 0, sep3 1 | skip 0, sep3 1 | sep3 0, skip 2",
            range(2, 6),
            "max 0, max 1 | skip 2, max 0 | max 0, skip 2 | skip 2, avg 0",
            range(2, 6),
        ),
        "Liu et al., ICLR 2019, first order",
    ),
    "darts_v2": Published(
        _cnn(
            "sep3 0, sep3 1 | sep3 0, sep3 1 | sep3 1, skip 0 | skip 0, dil3 2",
            range(2, 6),
            "max 0, max 1 | skip 2, max 1 | max 0, skip 2 | skip 2, max 1",
            range(2, 6),
        ),
        "Liu et al., ICLR 2019, second order",
    ),
    "nasnet": Published(
        _cnn(
            "sep5 1, sep3 0 | sep5 0, sep3 0 | avg 1, skip 0 | avg 0, avg 0 | sep3 1, skip 1",
            range(2, 7),
            "sep5 1, sep7 0 | max 1, sep7 0 | avg 1, sep5 0 | skip 3, avg 2 | sep3 2, max 1",
            range(4, 7),
        ),
        "NASNet-A, Zoph et al., CVPR 2018, as compared in Liu et al., ICLR 2019",
    ),
    "amoebanet": Published(
        _cnn(
            "avg 0, max 1 | sep3 0, sep5 2 | sep3 0, avg 3 | sep3 1, skip 1 | skip 0, avg 1",
            range(4, 7),
            "avg 0, sep3 1 | max 0, sep7 2 | sep7 0, avg 1 | max 0, max 1 | conv7 0, sep3 5",
            [3, 4, 6],
        ),
        "AmoebaNet-A, Real et al., AAAI 2019, as compared in Liu et al., ICLR 2019",
    ),
    "darts_v1_rnn": Published(
        _rnn(
            "relu 0 | relu 1 | tanh 2 | relu 3 | relu 4 | identity 1 | relu 5 | relu 1",
            range(1, 9),
        ),
        "Liu et al., ICLR 2019, first order, Penn Treebank; authors' code, rnn/genotypes.py",
    ),
    "darts_v2_rnn": Published(
        _rnn(
            "sigmoid 0 | relu 1 | relu 1 | identity 1 | tanh 2 | sigmoid 5 | tanh 3 | relu 5",
            range(1, 9),
        ),
        "Liu et al., ICLR 2019, second order, Penn Treebank; authors' code, rnn/genotypes.py",
    ),
    "enas_rnn": Published(
        _rnn(
            "tanh 0 | tanh 1 | relu 1 | tanh 3 | tanh 3 | relu 3 | relu 4 | relu 7 | relu 8 | relu 8 | relu 8",
            [2, 5, 6, 9, 10, 11],
        ),
        "ENAS, Pham et al., ICML 2018, as compared in Liu et al., ICLR 2019; authors' code, rnn/genotypes.py",
    ),
}


class _Table(Mapping[str, Published]):
    """The registry as a read-only table."""

    def __getitem__(self, name: str) -> Published:
        if name not in PUBLISHED:
            raise KeyError(name)
        return PUBLISHED.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(PUBLISHED)

    def __len__(self) -> int:
        return len(PUBLISHED.list())


#: All published genotypes by name. A user's module adds one with ``PUBLISHED.add(name, Published(genotype, source))``.
PUBLISHED: Registry[Published] = Registry("published genotype")
ZOO: Mapping[str, Published] = _Table()


def published(name: str) -> Genotype:
    """The published genotype `name`. A warning says so where it holds operations "none".

    Raises:
        UserError: if there is none of that name.
    """
    genotype = PUBLISHED.get(name).genotype
    if genotype.has_unusual_none:
        _log.warning("published genotype %s: holds operations %r, which pass nothing on", name, NONE)
    return genotype


def unknown(name: str) -> str:
    """The message for a name that no published genotype has; only the beginning of a long one is shown."""
    return PUBLISHED.unknown(name[:60])


for _name, _published in _TABLE.items():
    PUBLISHED.add(_name, _published, origin=published)
