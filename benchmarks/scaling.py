"""How the cost of a first-order search step grows with every size: time, saved activations, dispatched operations.

    python -m benchmarks.scaling [--json FILE] [--markdown FILE] [--svg FILE] [--rounds 3]

One size is varied at a time, the others stay at those of `CNN` and `RNN`. An exponent is the slope of a straight line
through the logarithms of the sizes in the upper half of a row, where what does not grow counts less. Multiply-adds are
those of one forward pass, by `cnn_multiply_adds`; the tests hold the formula to torch's own counter.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.counting import cost
from benchmarks.ours import OurSearch
from benchmarks.recipes import CNN_SEARCH, RNN_SEARCH
from benchmarks.workloads import CLASSES, CNN_CANDIDATES, RNN_CANDIDATES, SEARCH_DROPOUTS, images, words
from darts_pl.spaces import CnnSupernet, RnnSupernet, build_space

CNN = {"channels": 8, "cells": 4, "batch": 8, "side": 16, "nodes": 3, "candidates": 8}
RNN = {"units": 64, "length": 8, "batch": 16, "nodes": 4, "candidates": 5, "vocabulary": 500}
VARIED: dict[str, dict[str, tuple[int, ...]]] = {
    "cnn": {
        "channels": (4, 8, 16, 32),
        "cells": (3, 4, 6, 8),
        "batch": (4, 8, 16, 32),
        "side": (8, 16, 32, 48),
        "nodes": (1, 2, 3, 4, 5),
        "candidates": (3, 4, 6, 8),
    },
    "rnn": {
        "units": (32, 64, 128, 256),
        "length": (4, 8, 16, 32),
        "batch": (8, 16, 32, 64),
        "nodes": (2, 4, 6, 8),
        "candidates": (2, 3, 4, 5),
    },
}
#: Multiply-adds of a candidate per pixel of its output map: (of C, of C squared).
PER_PIXEL = {
    "sep_conv_3x3": (18, 2),
    "sep_conv_5x5": (50, 2),
    "dil_conv_3x3": (9, 1),
    "dil_conv_5x5": (25, 1),
}


def cnn_search(channels: int, cells: int, batch: int, side: int, nodes: int, candidates: int) -> OurSearch:
    """A search for images; `candidates` counts from the end, so that the convolutions come first."""
    chosen = ("none", *reversed(CNN_CANDIDATES[1:]))[:candidates]
    supernet = CnnSupernet(
        build_space("cnn", chosen, nodes), init_channels=channels, layers=cells, classes=CLASSES, alpha_scale=1e-3
    )
    return OurSearch(supernet.train(), images(batch, side, "cpu"), images(batch, side, "cpu"), CNN_SEARCH)


def rnn_search(units: int, length: int, batch: int, nodes: int, candidates: int, vocabulary: int) -> OurSearch:
    """A search for text."""
    supernet = RnnSupernet(
        build_space("rnn", RNN_CANDIDATES[:candidates], nodes),
        vocabulary=vocabulary,
        units=units,
        dropouts=SEARCH_DROPOUTS,
        alpha_scale=1e-3,
    )
    text = [words(length, batch, vocabulary, "cpu") for _ in range(2)]
    return OurSearch(supernet.train(), *text, RNN_SEARCH)


SEARCHES: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {"cnn": (cnn_search, CNN), "rnn": (rnn_search, RNN)}


def cnn_multiply_adds(channels: int, cells: int, side: int, nodes: int, candidates: int) -> int:
    """Multiply-adds of one forward pass over one image, of all convolutions and the linear head.

    A cell of width C on maps of P pixels with N nodes has E = N (N + 3) / 2 edges, each with (a C + b C^2) P, where
    a and b are the sums over its candidates in `PER_PIXEL` (102 and 6 for those of the paper). A skip connection of
    stride 2 has C^2 P. The two inputs of a cell are brought to its width by C_in C P' each.

    Args:
        channels: C of the first cells.
        cells: their number; those at 1/3 and 2/3 halve the maps and double C.
        side: of the images.
        nodes, candidates: see `cnn_search`.
    """
    chosen = ("none", *reversed(CNN_CANDIDATES[1:]))[:candidates]
    linear, square = (sum(PER_PIXEL.get(name, (0, 0))[part] for name in chosen) for part in (0, 1))
    edges = nodes * (nodes + 3) // 2
    before = last = 3 * channels
    total = 27 * last * side * side
    for layer in range(cells):
        reduction = layer in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduction else 1
        total += (before + last) * channels * side * side  # a halving one reads four times as many, keeps a quarter
        pixels = (side // 2) ** 2 if reduction else side * side
        # The first convolution of a separable pair has its stride; both are counted on the smaller map.
        total += edges * (linear * channels + square * channels**2) * pixels
        if reduction and "skip_connect" in chosen:
            total += 2 * nodes * channels**2 * pixels
        side = side // 2 if reduction else side
        before, last = last, nodes * channels
    return total + last * CLASSES


def measured(name: str, sizes: Mapping[str, int], rounds: int) -> dict[str, float]:
    """Seconds (process time, median), saved bytes and operations of one first-order step."""
    make, _ = SEARCHES[name]
    torch.manual_seed(0)
    search = make(**sizes)
    search.step("first")
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        search.step("first")
        seconds.append(time.process_time() - start)
    found = cost(partial(search.step, "first"))
    row = {"seconds": statistics.median(seconds), "saved": found.saved, "operations": found.operations}
    if name == "cnn":
        of_one = {key: value for key, value in sizes.items() if key != "batch"}
        row["multiply_adds"] = sizes["batch"] * cnn_multiply_adds(**of_one)
    return row


def exponent(sizes: list[int], values: list[float]) -> float:
    """Slope of log(value) over log(size), by least squares over the upper half of the sizes."""
    half = len(sizes) // 2
    x, y = ([math.log(one) for one in row[half - (len(sizes) % 2 == 0) :]] for row in (sizes, values))
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    above = sum((one - mean_x) * (other - mean_y) for one, other in zip(x, y, strict=True))
    return above / sum((one - mean_x) ** 2 for one in x)


def markdown(results: Mapping[str, Any]) -> str:
    """A table of exponents."""
    lines = [
        "| search | size | values | time | saved | operations | multiply-adds |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, rows in results.items():
        for size, row in rows.items():
            fits = [
                f"{row['exponents'][key]:.2f}" if key in row["exponents"] else ""
                for key in ("seconds", "saved", "operations", "multiply_adds")
            ]
            lines.append(f"| {name} | {size} | {', '.join(map(str, row['sizes']))} | {' | '.join(fits)} |")
    return "\n".join(lines) + "\n"


def draw(results: Mapping[str, Any], path: Path) -> None:
    """A log-log plot of time, saved bytes and operations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(results), 3, figsize=(11, 3.4 * len(results)), squeeze=False)
    for line, (name, rows) in zip(axes, results.items(), strict=True):
        for axis, (key, unit, scale) in zip(
            line,
            (("seconds", "s per step", 1.0), ("saved", "MB saved", 1e-6), ("operations", "operations", 1.0)),
            strict=True,
        ):
            for size, row in rows.items():
                start = SEARCHES[name][1][size]
                x = [one / start for one in row["sizes"]]
                label = f"{size} ({row['exponents'][key]:.2f})"
                axis.loglog(x, [scale * one[key] for one in row["rows"]], marker="o", markersize=3, label=label)
            axis.set_xlabel("size / that of the base")
            axis.set_ylabel(f"{name}: {unit}")
            axis.legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    for kind in ("json", "markdown", "svg"):
        parser.add_argument(f"--{kind}", type=Path)
    chosen = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for name, varied in VARIED.items():
        results[name] = {}
        for size, values in varied.items():
            rows = [measured(name, {**SEARCHES[name][1], size: value}, chosen.rounds) for value in values]
            fits = {key: exponent(list(values), [row[key] for row in rows]) for key in rows[0]}
            results[name][size] = {"sizes": values, "rows": rows, "exponents": fits}
            print(name, size, {key: round(value, 2) for key, value in fits.items()}, flush=True)
            if chosen.json:
                chosen.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(markdown(results))
    if chosen.markdown:
        chosen.markdown.write_text(markdown(results), encoding="utf-8")
    if chosen.svg:
        draw(results, chosen.svg)


if __name__ == "__main__":
    main()
