"""Published genotypes by name, each with its source and its published sizes; the data are in `cells.toml`."""

from __future__ import annotations

import difflib
import logging
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, NONE, Genotype, allow_none, from_pairs
from darts_pl.registry import Registry

_log = logging.getLogger(__name__)

#: The short names of `cells.toml`.
_SHORT = {
    "avg": "avg_pool_3x3",
    "max": "max_pool_3x3",
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "sep7": "sep_conv_7x7",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}

#: Former names, which keep working.
RENAMED = {"amoebanet": "amoebanet_as_in_darts"}


class PublishedSize(NamedTuple):
    """A size that somebody published for the network of a genotype.

    Args:
        network: name of the network, one of those in `Space.published_sizes`.
        where: where the figure was published.
        parameters: in millions; None = not published there.
        multiply_adds: for one image, in millions; None = not published there.
        channels: of the first cells, where they are not those of the network of that name.
        layers: number of cells, likewise.
        tower: whether the figure counts the auxiliary tower.
    """

    network: str
    where: str
    parameters: float | None = None
    multiply_adds: float | None = None
    channels: int | None = None
    layers: int | None = None
    tower: bool = False

    @property
    def is_usual(self) -> bool:
        """Whether it is of the network of that name itself."""
        return self.channels is None and self.layers is None and not self.tower


class Published(NamedTuple):
    """A published genotype.

    Args:
        genotype: the cells.
        source: where they were published.
        sizes: as published, in any order.
        note: what a reader of the source should know; "" = nothing.
    """

    genotype: Genotype
    source: str
    sizes: Sequence[PublishedSize] = ()
    note: str = ""


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
    if name in RENAMED:
        _log.warning("published genotype %s: is called %s now", name, RENAMED[name])
        name = RENAMED[name]
    if name not in PUBLISHED:
        raise UserError(unknown(name))
    genotype = PUBLISHED.get(name).genotype
    if genotype.has_unusual_none:
        allow_none(genotype)
        _log.warning("published genotype %s: holds operations %r, which pass nothing on", name, NONE)
    return genotype


def is_published(name: str) -> bool:
    """Whether `published` knows the name."""
    return name in PUBLISHED or name in RENAMED


def unknown(name: str) -> str:
    """The message for a name that no published genotype has, with the nearest ones; a long name is shortened."""
    near = difflib.get_close_matches(name[:60], [*PUBLISHED], n=3, cutoff=0.6)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return f"unknown {PUBLISHED.what} {name[:60]!r}; {guess}task=zoo lists all {len(ZOO)}"


def _pairs(cell: str) -> list[list[tuple[str, int]]]:
    """The pairs of every node from "sep3 0, skip 1 | ..."."""
    nodes = [[pair.split() for pair in node.split(",")] for node in cell.split("|")]
    return [[(_SHORT.get(operation, operation), int(source)) for operation, source in node] for node in nodes]


def _genotype(entry: Mapping[str, Any]) -> Genotype:
    by_cells = next(name for name in KINDS if KINDS.get(name).cell_types[0] in entry)
    kind = KINDS.get(entry.get("kind", by_cells))
    cells = {}
    for cell_type in kind.cell_types:
        nodes = _pairs(entry[cell_type])
        all_nodes = list(range(kind.input_nodes, kind.input_nodes + len(nodes)))
        cells[cell_type] = (nodes, entry.get(f"{cell_type}_concat", all_nodes))
    return from_pairs(kind.name, cells)


def _register() -> None:
    text = resources.files(__name__).joinpath("cells.toml").read_text(encoding="utf-8")
    for name, entry in tomllib.loads(text).items():
        genotype = _genotype(entry)
        if genotype.has_unusual_none:
            allow_none(genotype)
        sizes = [PublishedSize(**size) for size in entry.get("published", [])]
        PUBLISHED.add(name, Published(genotype, entry["source"], sizes, entry.get("note", "")), origin=published)


_register()
