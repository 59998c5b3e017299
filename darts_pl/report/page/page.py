"""The page: one HTML file that needs no other one."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Any

from PIL import Image as PillowImage

from darts_pl.report.page.blocks import (
    Block,
    Cells,
    Commands,
    Curves,
    Facts,
    Image,
    Images,
    Intervals,
    Matrix,
    MixingHistory,
    Network,
    Paragraph,
    Section,
    Table,
    Value,
)
from darts_pl.report.page.graphs import draw_cells, draw_network
from darts_pl.report.page.markup import Markup, join, number, tag
from darts_pl.report.page.mixing_board import draw_mixing
from darts_pl.report.page.plots import draw_curves, draw_intervals, draw_matrix

#: The grids of blocks that stand side by side where there is room.
GRIDS: Mapping[type, str] = {Curves: "plots", Intervals: "plots", Matrix: "plots", Cells: "pairs"}
#: A table with more rows says how many it leaves out.
MOST_ROWS = 400


def render_page(
    title: str, state: str, headline: Sequence[tuple[str, str, str]], sections: Sequence[Section], footer: str = ""
) -> str:
    """The whole document.

    Args:
        title: what was run.
        state: how it ended, such as "finished".
        headline: (label, value, remark) of the numbers that people look for first.
        sections: from the top.
        footer: the last line.
    """
    navigation = tag("nav", [tag("a", one.title, href=f"#{one.key}") for one in sections], aria_label="Sections")
    shown = [tag("li", tag("span", name), tag("b", value), tag("small", more)) for name, value, more in headline]
    kind = state.split()[0] if state else ""
    top = tag(
        "header",
        tag("h1", title),
        tag("span", state, class_=f"state {kind}"),
        tag("ul", shown, class_="headline") if shown else None,
        navigation,
        class_="top",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", Markup(asset("page.css"))),
    )
    body = tag(
        "body",
        top,
        tag("main", [render_section(one) for one in sections]),
        tag("footer", footer) if footer else None,
        tag("script", Markup(asset("page.js"))),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def render_section(section: Section) -> Markup:
    """A heading and its blocks; neighbouring plots share a grid, as do neighbouring cells."""
    parts: list[Markup] = [tag("h2", section.title)]
    for kind, blocks in groupby(section.blocks, lambda block: GRIDS.get(type(block))):
        drawn = [render_block(block) for block in blocks]
        parts += drawn if kind is None else [tag("div", drawn, class_=kind)]
    return tag("section", parts, id=section.key)


def render_block(block: Block) -> Markup:
    """A block as HTML."""
    return RENDERERS[type(block)](block)


@cache
def asset(name: str) -> str:
    """A style sheet or script that is part of every page."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _paragraph(block: Paragraph) -> Markup:
    return tag("p", block.text, class_="alarm" if block.alarm else None)


def _facts(block: Facts) -> Markup:
    return tag(
        "dl", [tag("div", tag("dt", name), tag("dd", number(value))) for name, value in block.rows], class_="facts"
    )


def _commands(block: Commands) -> Markup:
    return tag("div", [(tag("p", what), tag("pre", line)) for what, line in block.rows], class_="commands")


def _table(block: Table) -> Markup:
    numeric = [_is_numeric(block.rows, column) for column in range(len(block.headings))]
    head = tag(
        "tr",
        [
            tag("th", name, scope="col", class_="number" if right else None)
            for name, right in zip(block.headings, numeric, strict=True)
        ],
    )
    rows = [tag("tr", [_cell(value, right) for value, right in zip(row, numeric, strict=True)]) for row in block.rows]
    left_out = len(rows) - MOST_ROWS
    caption = tag("caption", block.title) if block.title and not block.folded else None
    table = tag("table", caption, tag("thead", head), tag("tbody", rows[:MOST_ROWS]))
    parts: list[Markup | None] = [tag("div", table, class_="scroll")]
    if left_out > 0:
        parts.append(tag("p", f"{left_out:,} more rows are in the files of the run.", class_="note"))
    return tag("details", tag("summary", block.title), parts) if block.folded else join(parts)


def _is_numeric(rows: Sequence[Sequence[Value]], column: int) -> bool:
    values = [row[column] for row in rows if row[column] not in (None, "")]
    return bool(values) and all(isinstance(value, (int, float)) for value in values)


def _cell(value: Value, right: bool) -> Markup:
    if value is None or value == "":
        return tag("td", data_value="")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return tag("td", number(value), class_="number" if right else None, data_value=repr(value))
    return tag("td", value, class_="text")


def _images(block: Images) -> Markup:
    return tag("div", [_image(one) for one in block.items], class_="images")


def _image(image: Image) -> Markup:
    written = io.BytesIO()
    PillowImage.frombytes("RGB", (image.width, image.height), image.pixels).save(written, "PNG", optimize=True)
    source = "data:image/png;base64," + base64.b64encode(written.getvalue()).decode("ascii")
    shape = tag("img", src=source, width=image.width, height=image.height, alt=image.caption)
    return tag("figure", shape, tag("figcaption", image.caption))


#: By the class of a block, what makes HTML of it.
RENDERERS: Mapping[type, Callable[[Any], Markup]] = {
    Paragraph: _paragraph,
    Facts: _facts,
    Commands: _commands,
    Table: _table,
    Curves: draw_curves,
    Intervals: draw_intervals,
    Matrix: draw_matrix,
    Cells: draw_cells,
    MixingHistory: draw_mixing,
    Network: draw_network,
    Images: _images,
}
