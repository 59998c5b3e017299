"""task=zoo: the published cells and the sizes of their networks."""

from __future__ import annotations

import time

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from darts_pl.records.folder import Summary
from darts_pl.spaces import PAPER_NETWORKS, space_of
from darts_pl.spaces.rnn import UNITS, VOCABULARY
from darts_pl.tasks.execution.context import Context
from darts_pl.zoo import ZOO

#: Columns of text that the table needs; a narrower terminal wraps its lines.
NARROWEST = 132


def zoo(context: Context) -> Summary:
    """Print the table, write its numbers as the summary and return it."""
    started = time.monotonic()
    sizes = {name: space_of(entry.genotype.kind).published_sizes(entry.genotype) for name, entry in ZOO.items()}
    columns = list(
        dict.fromkeys((which, adds is not None) for found in sizes.values() for which, (_, adds) in found.items())
    )
    table = Table(box=SIMPLE)
    table.add_column("genotype", no_wrap=True)
    table.add_column("source", min_width=30)
    table.add_column("nodes", no_wrap=True)
    for which, counts_adds in columns:
        for size in ("parameters", "multiply-adds")[: 1 + counts_adds]:
            table.add_column(f"{which}\n{size}", justify="right", no_wrap=True)
    summary: Summary = {"task": "zoo"}
    for name, published in ZOO.items():
        cells = published.genotype.cells
        row = [name, published.source, " + ".join(str(len(cell.nodes)) for cell in cells.values())]
        for which, counts_adds in columns:
            found = sizes[name].get(which, (None, None))
            for size, value in list(zip(("parameters", "multiply_adds"), found, strict=True))[: 1 + counts_adds]:
                row.append("-" if value is None else f"{value:,}")
                if value is not None:
                    summary[f"{name}/{which}_{size}"] = value
        table.add_row(*row)
    summary["seconds"] = round(time.monotonic() - started, 3)
    console = Console()
    console.width = max(console.width, NARROWEST)
    console.print(table)
    for which, paper in PAPER_NETWORKS.items():
        print(
            f"{which}: {paper.layers} cells, C={paper.init_channels}, {paper.classes} classes, "
            f"{paper.side}x{paper.side} pixels"
        )
    print(f"ptb: a language model of {UNITS} units for {VOCABULARY:,} words, encoder and decoder tied")
    print("parameters without the auxiliary tower; multiply-adds of convolutions and linear layers for one image")
    print("(published counts, such as 574M for DARTS on ImageNet, follow another convention)")
    context.folder.write_summary(summary)
    return summary
