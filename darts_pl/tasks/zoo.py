"""task=zoo: the published cells and the sizes of their networks."""

from __future__ import annotations

import time

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from darts_pl.genotype import Genotype
from darts_pl.records.folder import Summary
from darts_pl.spaces import PAPER_NETWORKS, build, count_parameters, size_of
from darts_pl.tasks.context import Context
from darts_pl.zoo import ZOO

#: Columns of text that the table needs; a narrower terminal wraps its lines.
NARROWEST = 132
#: H and V of the paper's language model, section A.2.2.
UNITS, VOCABULARY = 850, 10_000


def zoo(context: Context) -> Summary:
    """Print the table, write its numbers as the summary and return it."""
    started = time.monotonic()
    table = Table(box=SIMPLE)
    table.add_column("genotype", no_wrap=True)
    table.add_column("source", min_width=30)
    table.add_column("nodes", no_wrap=True)
    for name in PAPER_NETWORKS:
        for size in ("parameters", "multiply-adds"):
            table.add_column(f"{name}\n{size}", justify="right", no_wrap=True)
    table.add_column("ptb\nparameters", justify="right", no_wrap=True)
    summary: Summary = {"task": "zoo"}
    for name, published in ZOO.items():
        cells = published.genotype.cells
        row = [name, published.source, " + ".join(str(len(cell.nodes)) for cell in cells.values())]
        if published.genotype.kind == "rnn":
            parameters = _language_model_parameters(published.genotype)
            table.add_row(*row, *["-"] * 2 * len(PAPER_NETWORKS), f"{parameters:,}")
            summary[f"{name}/ptb_parameters"] = parameters
            continue
        for which in PAPER_NETWORKS:
            parameters, multiply_adds = size_of(published.genotype, which)
            row += [f"{parameters:,}", f"{multiply_adds:,}"]
            summary[f"{name}/{which}_parameters"] = parameters
            summary[f"{name}/{which}_multiply_adds"] = multiply_adds
        table.add_row(*row, "-")
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


def _language_model_parameters(genotype: Genotype) -> int:
    with torch.device("meta"):
        return count_parameters(build(genotype, vocabulary=VOCABULARY, units=UNITS))
