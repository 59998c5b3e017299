"""Draws the figures of docs/concepts.md: `python docs/figures/draw.py`. The same script gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent
INK, LINE, PAPER = "#22303c", "#7b8794", "#ffffff"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"  # Okabe and Ito: told apart by colour-blind readers
PALE = {BLUE: "#e1eff7", ORANGE: "#fbe9dd", GREEN: "#dff3ec", LINE: "#eef1f4"}


def text(x: float, y: float, words: str, size: int = 14, *, anchor: str = "middle", weight: str = "normal") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def lines(x: float, y: float, words: Iterable[str], size: int = 13, *, anchor: str = "middle") -> str:
    return "".join(text(x, y + 18 * index, line, size, anchor=anchor) for index, line in enumerate(words))


def box(x: float, y: float, width: float, height: float, words: str = "", colour: str = LINE) -> str:
    """A labelled box by its centre."""
    frame = (
        f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" height="{height:g}" rx="6" '
        f'fill="{PALE[colour]}" stroke="{colour}" stroke-width="1.5"/>'
    )
    return frame + (text(x, y + 5, words) if words else "")


def arrow(x: float, y: float, to_x: float, to_y: float, colour: str = LINE, width: float = 1.5) -> str:
    return (
        f'<path d="M {x:g} {y:g} L {to_x:g} {to_y:g}" fill="none" stroke="{colour}" '
        f'stroke-width="{width:g}" marker-end="url(#head)"/>'
    )


def figure(name: str, width: int, height: int, title: str, *parts: str) -> None:
    """Write one figure, with a background of its own so that it is readable on dark pages."""
    head = (
        '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M 0 1 L 10 5 L 0 9 z" fill="context-stroke"/></marker>'
    )
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" fill="{INK}" role="img">\n<title>{escape(title)}</title>\n<defs>{head}</defs>\n'
        f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
    (FOLDER / f"{name}.svg").write_text(drawing, encoding="utf-8")


#: Of the small cell in the first figure: sources and targets by place, and mixing weights of the three candidates.
EDGES = (
    (("a", "0"), (0.7, 0.1, 0.2)),
    (("b", "0"), (0.2, 0.2, 0.6)),
    (("a", "1"), (0.3, 0.4, 0.3)),
    (("b", "1"), (0.15, 0.7, 0.15)),
    (("0", "1"), (0.8, 0.1, 0.1)),
)
KEPT = {("a", "0"): BLUE, ("b", "0"): GREEN, ("b", "1"): ORANGE, ("0", "1"): BLUE}
PLACES = {"a": (38, 110), "b": (38, 265), "0": (150, 120), "1": (150, 255), "out": (236, 188)}
NAMES = {"a": "c(k-2)", "b": "c(k-1)", "0": "0", "1": "1", "out": "out"}


def cell(left: float, caption: str, arrows: Iterable[str]) -> str:
    nodes = "".join(box(left + x, y, 58 if key in "ab" else 34, 28, NAMES[key], LINE) for key, (x, y) in PLACES.items())
    collect = "".join(connect(left, (key, "out"), LINE, 1.5, 0) for key in "01")
    return text(left + 130, 40, caption, 15, weight="bold") + collect + "".join(arrows) + nodes


def connect(left: float, ends: tuple[str, str], colour: str, width: float, shift: float) -> str:
    """An arrow between two nodes, moved sideways by `shift`."""
    (x, y), (to_x, to_y) = PLACES[ends[0]], PLACES[ends[1]]
    length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
    right, down = (to_x - x) / length, (to_y - y) / length
    side_x, side_y = -down * shift, right * shift
    start = 32 if ends[0] in "ab" else 20
    return arrow(
        round(left + x + right * start + side_x, 1), round(y + down * start + side_y, 1),
        round(left + to_x - right * 22 + side_x, 1), round(to_y - down * 22 + side_y, 1), colour, width,
    )  # fmt: skip


def cells() -> None:
    candidates = (BLUE, ORANGE, GREEN)
    open_edges = [connect(0, ends, LINE, 1.5, 0) for ends, _ in EDGES]
    mixed = [
        connect(270, ends, colour, 0.8 + 6 * weight, 8 * (index - 1))
        for ends, weights in EDGES
        for index, (colour, weight) in enumerate(zip(candidates, weights, strict=True))
    ]
    kept = [connect(540, ends, colour, 3, 0) for ends, colour in KEPT.items()]
    legend = "".join(
        f'<line x1="{x}" y1="318" x2="{x + 34}" y2="318" stroke="{colour}" stroke-width="4"/>'
        + text(x + 42, 323, words, 13, anchor="start")
        for x, colour, words in ((150, BLUE, "convolution"), (340, ORANGE, "pooling"), (500, GREEN, "skip connection"))
    )
    figure(
        "cells", 810, 345,
        "A cell before, during and after a search",
        cell(0, "1. Cell: nodes and edges", open_edges),
        cell(270, "2. Supernet: all candidates", mixed),
        cell(540, "3. Genotype: what is kept", kept),
        lines(130, 62, ["which operation on which edge?"]),
        lines(400, 62, ["line width: mixing weight"]),
        lines(670, 62, ["two inputs per node, one operation each"]),
        legend,
    )  # fmt: skip


def edge() -> None:
    rows = (
        (BLUE, "sep_conv_3x3", "1.2", "0.64"),
        (GREEN, "skip_connect", "0.1", "0.21"),
        (ORANGE, "max_pool_3x3", "-0.2", "0.15"),
    )
    parts = [box(60, 150, 76, 36, "x"), box(640, 150, 44, 44, "+"), box(745, 150, 90, 36, "mixed")]
    parts += [arrow(662, 150, 698, 150)]
    for index, (colour, name, alpha, weight) in enumerate(rows):
        y = 80 + 70 * index
        parts += [
            arrow(98, 150, 172, y, colour, 2),
            box(240, y, 132, 34, name, colour),
            arrow(307, y, 616, 150 + 8 * (index - 1), colour, 0.8 + 7 * float(weight)),
            text(390, y - 10 if y <= 150 else y + 22, f"alpha {alpha}, weight {weight}", 13, anchor="middle"),
        ]
    parts += [text(400, 32, "One edge of the supernet: the sum of all candidates, weighted by softmax(alpha)", 15)]
    figure("edge", 810, 265, "One mixed edge", *parts)


def step() -> None:
    figure(
        "step", 810, 300,
        "One step of a search",
        text(405, 32, "One step of a search", 15, weight="bold"),
        box(120, 95, 190, 44, "batch of the valid half", BLUE),
        box(120, 215, 190, 44, "batch of the train half", ORANGE),
        box(420, 95, 250, 44, "1. alphas move (Adam)", BLUE),
        box(420, 215, 250, 44, "2. weights move (SGD)", ORANGE),
        box(700, 155, 150, 44, "supernet"),
        arrow(215, 95, 293, 95, BLUE, 2), arrow(215, 215, 293, 215, ORANGE, 2),
        arrow(545, 95, 660, 132, BLUE, 2), arrow(545, 215, 660, 178, ORANGE, 2),
        arrow(150, 192, 300, 119, ORANGE, 1.5),
        lines(
            285, 150, ["second order: the alpha step foresees the next", "weight step and reads the train batch too"],
            anchor="start",
        ),
        text(405, 275, "The validation loss judges the alphas; the training loss judges the weights.", 13),
    )  # fmt: skip


def splits() -> None:
    stages = ((130, "search"), (320, "selection"), (510, "training"), (700, "test"))
    rows = ((95, "train half", ORANGE), (145, "valid half", BLUE), (195, "test split", GREEN))
    reads = {
        ("search", "train half"): "weights", ("search", "valid half"): "alphas", ("selection", "valid half"): "scores",
        ("training", "train half"): "weights", ("training", "valid half"): "weights",
        ("test", "test split"): "one score",
    }  # fmt: skip
    parts = [text(x + 20, 40, name, 15, weight="bold") for x, name in stages]
    parts += [arrow(x + 62, 35, x + 150, 35) for x, _ in stages[:-1]]
    for y, row, colour in rows:
        parts.append(text(12, y + 5, row, 14, anchor="start"))
        for x, name in stages:
            used = reads.get((name, row))
            parts.append(box(x + 20, y, 130, 36, used or "", colour if used else LINE))
    parts.append(text(405, 248, "No search and no selection reads the test split; it is scored once, at the end.", 13))
    figure("splits", 810, 270, "Which part of the data each stage reads", *parts)


def scores() -> None:
    bars = (
        ("supernet, all candidates mixed", 0, 57, ORANGE, "57 %"),
        ("one path of it, weight 1 each", 7, 26, BLUE, "7 to 26 %"),
        ("derived cells, trained from scratch", 88.5, 93.5, GREEN, "91 %"),
    )
    parts = [text(405, 32, "The same searches, three accuracies on CIFAR-10", 15, weight="bold")]
    for index, (name, low, high, colour, label) in enumerate(bars):
        y, scale = 82 + 52 * index, 4.3
        parts += [
            text(268, y + 5, name, 14, anchor="end"),
            f'<rect x="{280 + low * scale:g}" y="{y - 14}" width="{(high - low) * scale:g}" height="28" '
            f'fill="{colour}"/>',
            text(288 + high * scale, y + 5, label, 14, anchor="start"),
        ]
    parts.append('<line x1="280" y1="55" x2="280" y2="210" stroke="#7b8794" stroke-width="1.5"/>')
    parts.append(lines(405, 238, ["A score of the supernet compares moments of one search, not cells."]))
    figure("scores", 810, 260, "Scores of a supernet and of its cells", *parts)


FIGURES = (cells, edge, step, splits, scores)

if __name__ == "__main__":
    for draw in FIGURES:
        draw()
