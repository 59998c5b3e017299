"""Mixing weights over the epochs: a panel per edge, all edges at one epoch, and the preview cell of that epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence

from darts_pl.genotype import NONE, Genotype
from darts_pl.report.page.blocks import EdgeHistory, Matrix, MixingHistory
from darts_pl.report.page.graphs import cell_drawings
from darts_pl.report.page.markup import Markup, join, place, tag
from darts_pl.report.page.plots import DISTINCT, draw_matrix, swatch
from darts_pl.report.page.scale import Scale

PANEL_WIDTH, PANEL_HEIGHT = 150.0, 98.0
INSET, TOP, BOTTOM = 4.0, 14.0, 14.0
#: Letters of all previews together; where they need more, some epochs show the preview of an earlier one.
PREVIEW_LETTERS = 700_000
#: Different previews that are drawn at most.
MOST_PREVIEWS = 48


def draw_mixing(block: MixingHistory) -> Markup:
    """Slider, preview cells, weights at the chosen epoch (without JavaScript: the last one), and the panels."""
    ends = ends_of(block)
    previews, shown = _previews(block.genotypes)
    parts: list[Markup | None] = [_slider(block)]
    if previews:
        last = shown[-1]
        drawn = [tag("div", one, class_="preview", hidden=index != last) for index, one in enumerate(previews)]
        title = f"What would be derived after epoch {block.epochs[-1]}"
        parts.append(tag("figure", tag("figcaption", title, class_="of-epoch"), drawn, class_="cells previews"))
    weights = [_weights(title, edges, block, ends) for title, edges in block.titled()]
    parts.append(tag("div", weights, class_="plots"))
    parts.append(_legend(block))
    parts.append(
        tag(
            "p",
            f"One panel per edge: mixing weight from {_end(ends[0], ends)} to {_end(ends[1], ends)} (the same in all "
            f"panels and squares) over epochs {block.epochs[0]} to {block.epochs[-1]}. "
            "The bold line is the candidate that the genotype has.",
            class_="note",
        )
    )
    for title, edges in block.titled():
        panels = [_panel(edge, block, ends) for edge in edges]
        parts.append(tag("div", tag("h3", title), tag("div", panels, class_="panels")))
    parts.append(_data(block, ends, shown))
    return tag("div", parts, class_="mixing")


def _slider(block: MixingHistory) -> Markup:
    last = len(block.epochs) - 1
    control = tag("input", type="range", min=0, max=last, value=last, step=1, id="epoch", aria_describedby="epoch-name")
    label = tag("label", "Epoch ", tag("output", block.epochs[-1], id="epoch-name"), for_="epoch")
    return tag("div", label, control, class_="slider", hidden=True)


def _weights(title: str, edges: Sequence[EdgeHistory], block: MixingHistory, ends: tuple[float, float]) -> Markup:
    """All mixing weights of a cell type after the last epoch."""
    values, chosen = [], set()
    for row, edge in enumerate(edges):
        of_edge = dict(zip(edge.candidates, edge.weights[-1], strict=True))
        values.append([None if name not in of_edge else of_edge[name] or 0.0 for name in block.candidates])
        if edge.chosen is not None:
            chosen.add((row, block.candidates.index(edge.candidates[edge.chosen])))
    names = [edge.label for edge in edges]
    last = block.epochs[-1]
    plot = Matrix(
        "mixing", f"{title}: mixing weights after epoch {last}", names, block.candidates, values, "edge", "",
        frozenset(chosen), lowest=ends[0], largest=ends[1],
    )  # fmt: skip
    return tag("div", draw_matrix(plot), class_="at-epoch")


def _panel(edge: EdgeHistory, block: MixingHistory, ends: tuple[float, float]) -> Markup:
    x = Scale(0, max(len(block.epochs) - 1, 1), INSET, PANEL_WIDTH - INSET)
    y = Scale(*ends, PANEL_HEIGHT - BOTTOM, TOP)
    lines, colours = [], colours_of(block.candidates)
    order = sorted(range(len(edge.candidates)), key=lambda index: index == edge.chosen)
    for column in order:
        colour = colours[edge.candidates[column]]
        points = [
            f"{place(x(epoch))},{place(y(value))}"
            for epoch, row in enumerate(edge.weights)
            if (value := row[column]) is not None
        ]
        bold = " bold" if column == edge.chosen else ""
        hint = tag("title", edge.candidates[column])
        lines.append(tag("polyline", hint, points=" ".join(points), class_=f"line {colour}{bold}"))
    bottom = place(PANEL_HEIGHT - BOTTOM)
    frame = tag("line", x1=INSET, x2=PANEL_WIDTH - INSET, y1=bottom, y2=bottom, class_="axis")
    cursor = tag("line", x1=x.end, x2=x.end, y1=TOP - 4, y2=bottom, class_="cursor", data_from=x.start, data_to=x.end)
    texts = [
        tag("text", block.epochs[0], x=INSET, y=PANEL_HEIGHT - 3, class_="tiny"),
        tag("text", block.epochs[-1], x=PANEL_WIDTH - INSET, y=PANEL_HEIGHT - 3, class_="tiny end"),
        tag("text", _end(ends[1], ends), x=INSET, y=TOP - 5, class_="tiny"),
    ]
    view = f"0 0 {place(PANEL_WIDTH)} {place(PANEL_HEIGHT)}"
    label = f"edge {edge.label}"
    drawing = tag("svg", frame, texts, lines, cursor, viewBox=view, role="img", aria_label=label)
    kept = edge.candidates[edge.chosen] if edge.chosen is not None else "not kept"
    below = tag("span", kept, class_="kept" if edge.chosen is not None else "not-kept")
    return tag("figure", tag("figcaption", tag("b", edge.label), " ", below), drawing, class_="panel")


def _legend(block: MixingHistory) -> Markup:
    return tag("div", [swatch(name, kind) for name, kind in colours_of(block.candidates).items()], class_="legend")


def colours_of(candidates: Sequence[str]) -> dict[str, str]:
    """By candidate the class of its lines, the same in the whole run; "none" is grey."""
    coloured = [name for name in candidates if name != NONE]
    kinds = {name: f"s{index % DISTINCT}" for index, name in enumerate(coloured)}
    return {name: kinds.get(name, "none") for name in candidates}


def ends_of(block: MixingHistory) -> tuple[float, float]:
    """The mixing weights at the ends of all axes: 0 or, where all lie close together, the lowest; and the largest."""
    values = [
        value
        for edges in block.cells.values()
        for edge in edges
        for row in edge.weights
        for value in row
        if value is not None
    ]
    lowest, largest = min(values, default=0.0), max(values, default=1.0) or 1.0
    near = largest / 2 < lowest < 0.95 * largest  # nearer ones differ by little more than their random start
    return (lowest, largest) if near else (0.0, largest)


def _end(value: float, ends: tuple[float, float]) -> str:
    """A value at an end of the axis, with decimals that tell the ends apart."""
    return "0" if value == 0 else f"{value:.{2 if ends[1] - ends[0] >= 0.1 else 3}f}"


def _previews(genotypes: Sequence[Genotype]) -> tuple[list[Markup], list[int]]:
    """Drawings of different genotypes, and by epoch which of them is shown."""
    if not genotypes:
        return [], []
    different = list(dict.fromkeys(genotypes))
    if len(different) > MOST_PREVIEWS:  # the last one always stays
        places = {round(index * (len(different) - 1) / (MOST_PREVIEWS - 1)) for index in range(MOST_PREVIEWS)}
        kept = [different[index] for index in sorted(places)]
    else:
        kept = different
    drawn = [cell_drawings(genotype) for genotype in kept]
    while len(kept) > 2 and sum(map(len, drawn)) > PREVIEW_LETTERS:
        kept, drawn = kept[-1::-2][::-1], drawn[-1::-2][::-1]
    shown, current = [], 0
    for genotype in genotypes:
        current = kept.index(genotype) if genotype in kept else current
        shown.append(current)
    return drawn, shown


def _data(block: MixingHistory, ends: tuple[float, float], shown: Sequence[int]) -> Markup:
    """What the slider needs: by epoch the strength of every square, in the order of the page."""
    rows, (lowest, largest) = [], ends
    for epoch in range(len(block.epochs)):
        row = []
        for edges in block.cells.values():
            for edge in edges:
                of_edge = dict(zip(edge.candidates, edge.weights[epoch], strict=True))
                row += [
                    round(max((of_edge[name] or 0.0) - lowest, 0.0) / (largest - lowest), 3)
                    for name in block.candidates
                    if name in of_edge
                ]
        rows.append(row)
    values = {"epochs": list(block.epochs), "shown": list(shown), "weights": rows, "lowest": lowest, "largest": largest}
    return script_data("mixing-data", values)


def script_data(key: str, values: object) -> Markup:
    """Plain values for a script of the page; a text in them cannot end the element."""
    written = json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return join([Markup(f'<script type="application/json" id="{key}">'), Markup(written), Markup("</script>")])
