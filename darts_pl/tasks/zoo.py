"""task=zoo: the published cells, and the sizes of their networks beside the published sizes."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from darts_pl.records.folder import Summary
from darts_pl.spaces import PAPER_NETWORKS, size_of, space_of
from darts_pl.spaces.rnn import UNITS, VOCABULARY
from darts_pl.tasks.execution.context import Context
from darts_pl.zoo import ZOO, Published, PublishedSize

#: Columns of text of the output; a narrower terminal wraps its lines.
WIDTH = 100
#: Counted and published sizes that differ by more, relative to the published one, are marked.
MARKED = 0.02


class Line(NamedTuple):
    """One network of a published cell.

    Args:
        label: its name in the table.
        parameters, multiply_adds: as counted here; None = not counted.
        size: as published; None = no figure is known.
    """

    label: str
    parameters: int
    multiply_adds: int | None
    size: PublishedSize | None


def zoo(context: Context) -> Summary:
    """Print the tables and the sources, write the numbers as the summary and return it."""
    started = time.monotonic()
    sizes = {name: space_of(entry.genotype.kind).published_sizes(entry.genotype) for name, entry in ZOO.items()}
    summary: Summary = {"task": "zoo"}
    for name, found in sizes.items():
        for which, (parameters, multiply_adds) in found.items():
            summary[f"{name}/{which}_parameters"] = parameters
            if multiply_adds is not None:
                summary[f"{name}/{which}_multiply_adds"] = multiply_adds
        for size in ZOO[name].sizes:
            if size.is_usual:
                summary.update(_published_figures(name, size))
    console = Console()
    console.width = max(console.width, WIDTH)
    for which in dict.fromkeys(which for found in sizes.values() for which in found):
        print(f"\n{_describe(which)}")
        console.print(_table(line for name in ZOO for line in _lines(name, ZOO[name], which, sizes[name])))
    print(f"parameters without the auxiliary tower, unless it is named; ! marks a difference above {MARKED:.0%}")
    print("M-adds: multiply-adds of convolutions and linear layers for one image, in millions")
    print("(published counts, such as 574M for DARTS on ImageNet, follow another convention)\n")
    for name, entry in ZOO.items():
        print("\n".join(_sources(name, entry)))
    summary["seconds"] = round(time.monotonic() - started, 3)
    context.folder.write_summary(summary)
    return summary


def _published_figures(name: str, size: PublishedSize) -> Iterator[tuple[str, float]]:
    """The published figures of the network of that name itself, in units."""
    figures = {"parameters": size.parameters, "multiply_adds": size.multiply_adds}
    for what, millions in figures.items():
        if millions is not None:
            yield f"{name}/{size.network}_{what}_published", millions * 1e6


def _lines(name: str, entry: Published, which: str, counted: Mapping[str, tuple[int, int | None]]) -> Iterator[Line]:
    """The network `which` of a cell, then those of other sizes for which a figure was published."""
    if which not in counted:
        return
    published = [size for size in entry.sizes if size.network == which]
    usual = next((size for size in published if size.is_usual), None)
    yield Line(name, *counted[which], usual)
    for size in published:
        if not size.is_usual:
            parts = {"C={}": size.channels, "{} cells": size.layers}
            label = ", ".join(text.format(value) for text, value in parts.items() if value is not None)
            label = f"{label}{' and tower' if size.tower else ''}".removeprefix(" and ")
            found = size_of(entry.genotype, which, channels=size.channels, layers=size.layers, tower=size.tower)
            yield Line(f"  with {label}", *found, size)


def _table(lines: Iterator[Line]) -> Table:
    table = Table(box=SIMPLE)
    table.add_column("genotype", no_wrap=True)
    for heading in ("parameters", "published", "diff", "M-adds", "published", "diff"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        parameters, multiply_adds = (line.size.parameters, line.size.multiply_adds) if line.size else (None, None)
        counted = "" if line.multiply_adds is None else f"{line.multiply_adds / 1e6:.0f}"
        table.add_row(
            line.label,
            f"{line.parameters:,}",
            *_compared(line.parameters, parameters, " M"),
            counted,
            *_compared(line.multiply_adds, multiply_adds, ""),
        )
    return table


def _compared(counted: int | None, millions: float | None, unit: str) -> tuple[str, str]:
    """A published figure, and by how much the counted one differs."""
    if millions is None:
        return "", ""
    if counted is None:
        return f"{millions:g}{unit}", ""
    difference = counted / (millions * 1e6) - 1
    return f"{millions:g}{unit}", f"{difference:+.1%}{' !' if abs(difference) > MARKED else '  '}"


def _describe(which: str) -> str:
    if which not in PAPER_NETWORKS:
        return f"{which}: a language model of {UNITS} units for {VOCABULARY:,} words, encoder and decoder tied"
    paper = PAPER_NETWORKS[which]
    size = f"{paper.side}x{paper.side} pixels"
    return f"{which}: {paper.layers} cells, C={paper.init_channels}, {paper.classes} classes, {size}"


def _sources(name: str, entry: Published) -> list[str]:
    """The lines about a cell: where it is from, its nodes, and where its sizes are from."""
    nodes = " + ".join(str(len(cell.nodes)) for cell in entry.genotype.cells.values())
    parts = [entry.source, f"nodes {nodes}", *([entry.note] if entry.note else [])]
    parts += [f"size from {where}" for where in dict.fromkeys(size.where for size in entry.sizes)]
    return textwrap.wrap(f"{name}: {'. '.join(parts)}", WIDTH, subsequent_indent="    ", break_on_hyphens=False)
