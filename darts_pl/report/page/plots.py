"""Curves, intervals and matrices as inline SVG; colours come from the style sheet of the page."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from darts_pl.report.page.blocks import Curves, Intervals, Matrix, Series
from darts_pl.report.page.markup import Markup, join, number, place, tag
from darts_pl.report.page.scale import Scale, fitting, tick_text

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 10, 40
#: Width of a letter in a label, of a digit in the widest of the fonts that the page names.
LETTER = 7.0
#: Letters of a label on one line.
LONG = 28
#: Letters of the name of a row or a column.
LONGEST_NAME = 22
#: Series that are told apart by colour and dashes; a plot with more draws all alike, without a legend.
DISTINCT = 8
#: A line of at most so many points shows them.
FEW_POINTS = 40


def draw_curves(plot: Curves) -> Markup:
    """The plot as a figure with its legend."""
    series = [one for one in plot.series if any(value is not None for value in one.y)]
    values = [value for one in series for value in one.y if value is not None]
    values += [value for one in series for band in (one.low, one.high) if band is not None for value in band]
    values += [value for _, value in plot.references]
    places = [value for one in series for value in one.x]
    whole = all(float(value).is_integer() for value in places) and not plot.log_x
    y = fitting(values, HEIGHT - BOTTOM, TOP, log=plot.log_y)
    left = max(LEFT, 24 + 6.5 * max(len(text) for _, text in _named_ticks(y, 4)))
    x = fitting(places, left, WIDTH - RIGHT, log=plot.log_x, whole=whole and max(places, default=0) < 1e5)
    alike = len(series) > DISTINCT
    drawn = [_series(one, "alike" if alike else f"s{index}", x, y) for index, one in enumerate(series)]
    body = [_axes(x, y, plot.x_label, plot.y_label, whole=whole), *_references(plot.references, x, y), *drawn]
    legend = tag("p", f"{len(series)} lines, all drawn alike", class_="note") if alike else _legend(series)
    return figure(plot.title, join(body), WIDTH, HEIGHT, legend)


def figure(title: str, body: Markup, width: float, height: float, below: Markup | None = None) -> Markup:
    """An SVG with its title and what stands below it."""
    shape = tag(
        "svg",
        body,
        viewBox=f"0 0 {place(width)} {place(height)}",
        role="img",
        aria_label=title,
        style=f"max-width:{place(1.35 * width)}px",
    )
    return tag("figure", tag("figcaption", title), shape, below, class_="plot")


def draw_intervals(plot: Intervals) -> Markup:
    """One line per score: its interval, its points and its value."""
    labels = [two_lines(row.label) for row in plot.rows]
    left = max([LETTER * len(line) for lines in labels for line in lines], default=0) + 14
    width, step = 460, 26 if all(len(lines) == 1 for lines in labels) else 34
    decimals = _decimals([row.value for row in plot.rows])
    height = TOP + step * len(plot.rows) + BOTTOM
    values = [value for row in plot.rows for value in (row.value, row.low, row.high, *row.points) if value is not None]
    x = fitting(values, left, width - 62)
    body = [_x_axis(x, plot.x_label, height)]
    for index, row in enumerate(plot.rows):
        middle = TOP + step * (index + 0.5)
        for line, text in enumerate(labels[index]):
            y = middle + 4 + 13 * (line - (len(labels[index]) - 1) / 2)
            body.append(tag("text", text, tag("title", row.label), x=place(left - 8), y=place(y), class_="end"))
        if row.low is not None and row.high is not None:
            body.append(_line(x(row.low), middle, x(row.high), middle, "interval"))
            body += [_line(x(end), middle - 4, x(end), middle + 4, "interval") for end in (row.low, row.high)]
        body += [_dot(x(value), middle, number(value), "small") for value in row.points]
        body.append(_dot(x(row.value), middle, f"{row.label}: {number(row.value)}", "mean"))
        body.append(tag("text", f"{row.value:,.{decimals}f}", x=place(width - 54), y=place(middle + 4), class_="value"))
    return figure(plot.title, join(body), width, height)


def _decimals(values: Sequence[float]) -> int:
    """How many decimals give the largest value four digits."""
    return max(0, 4 - len(str(int(max(map(abs, values), default=0)))))


def two_lines(label: str) -> list[str]:
    """A label of more than `LONG` letters on two lines, of at most that many letters each."""
    if len(label) <= LONG:
        return [label]
    cut = max(label.rfind(" ", 0, LONG + 1), label.rfind("_", 0, LONG) + 1)
    cut = cut if cut > 0 else LONG
    first, second = label[:cut].rstrip(), label[cut:].lstrip()
    return [first, second if len(second) <= LONG else f"{second[: LONG - 1]}\N{HORIZONTAL ELLIPSIS}"]


def draw_matrix(plot: Matrix) -> Markup:
    """Squares whose colour is the stronger, the larger the value; marked ones have a frame."""
    names, columns = ([_shortened(str(name)) for name in given] for given in (plot.rows, plot.columns))
    side_x = max(18.0, 24.0 if plot.digits is None else 7.0 * (plot.digits + 3))
    side_y = 20.0 if len(names) <= 30 else 14.0
    longest = max([LETTER * len(name) for name in columns], default=0.0)
    slanted = longest > side_x
    left = max([LETTER * len(name) for name in names], default=0.0) + 10 + (18 if plot.row_label else 0)
    top = (0.72 * longest + 16 if slanted else 18) + (18 if plot.column_label else 0)
    right = 0.72 * longest * slanted
    width, height = left + side_x * len(columns) + right, top + side_y * len(names) + 4
    largest = plot.largest
    if largest is None:
        largest = max((value for row in plot.values for value in row if value is not None), default=1.0) or 1.0
    body: list[Markup] = []
    if plot.row_label:
        body.append(_turned(plot.row_label, 11, top + side_y * len(names) / 2))
    if plot.column_label:
        body.append(tag("text", plot.column_label, x=place(left + side_x * len(columns) / 2), y=12, class_="mid label"))
    for column, name in enumerate(columns):
        at, hint = left + side_x * (column + 0.5), tag("title", plot.columns[column])
        if slanted:
            turn = f"translate({place(at)} {place(top - 6)}) rotate(-46)"
            body.append(tag("text", name, hint, transform=turn))
        else:
            body.append(tag("text", name, hint, x=place(at), y=place(top - 6), class_="mid"))
    for row, name in enumerate(names):
        middle = top + side_y * (row + 0.5)
        hint = tag("title", plot.rows[row])
        body.append(tag("text", name, hint, x=place(left - 6), y=place(middle + 4), class_="end"))
        for column, value in enumerate(plot.values[row]):
            if value is not None:
                corner = left + side_x * column, top + side_y * row
                strength = (value - plot.lowest) / (largest - plot.lowest)
                body.append(_square(plot, row, column, strength, corner, (side_x, side_y)))
    return figure(plot.title, join(body), width, height)


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"


def _square(
    plot: Matrix, row: int, column: int, strength: float, corner: tuple[float, float], side: tuple[float, float]
) -> Markup:
    value = plot.values[row][column]
    hint = f"{plot.rows[row]}, {plot.columns[column]}: {number(value)}"
    shape = tag(
        "rect",
        tag("title", hint),
        x=place(corner[0] + 0.5),
        y=place(corner[1] + 0.5),
        width=place(side[0] - 1),
        height=place(side[1] - 1),
        class_="square chosen" if (row, column) in plot.chosen else "square",
        fill_opacity=f"{max(strength, 0.0):.3f}",
    )
    if plot.digits is None or value is None:
        return shape
    dark = "on-strong" if strength > 0.6 else None
    written = f"{value:.{plot.digits}f}"
    x, y = corner[0] + side[0] / 2, corner[1] + side[1] / 2 + 4
    return join([shape, tag("text", written, x=place(x), y=place(y), class_=f"mid tiny {dark or ''}".strip())])


def _series(one: Series, kind: str, x: Scale, y: Scale) -> Markup:
    points = [(x(at), None if value is None else y(value)) for at, value in zip(one.x, one.y, strict=True)]
    parts: list[Markup] = []
    if one.low is not None and one.high is not None:
        around = [(x(at), y(value)) for at, value in zip(one.x, one.high, strict=True)]
        around += [(x(at), y(value)) for at, value in reversed(list(zip(one.x, one.low, strict=True)))]
        parts.append(tag("polygon", points=_points(around), class_=f"band {kind}"))
    if one.style != "points":
        for run in _runs(points):
            corners = _stepped(run) if one.style == "steps" else run
            parts.append(tag("polyline", points=_points(corners), class_=f"line {kind}"))
    if one.style == "points" or (one.style == "line" and len(points) <= FEW_POINTS and kind != "alike"):
        size = "spot" if one.style == "points" else "knot"
        for index, (across, up) in enumerate(points):
            if up is not None:
                hint = one.labels[index] if one.labels else f"{number(one.x[index])}: {number(one.y[index])}"
                parts.append(_dot(across, up, f"{one.name} {hint}".strip(), f"{size} {kind}"))
    return tag("g", *parts)


def _runs(points: Sequence[tuple[float, float | None]]) -> Iterable[list[tuple[float, float]]]:
    """The pieces of a line between its gaps."""
    piece: list[tuple[float, float]] = []
    for across, up in points:
        if up is not None:
            piece.append((across, up))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _stepped(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    corners = list(points[:1])
    for (_, before), (across, up) in itertools.pairwise(points):
        corners += [(across, before), (across, up)]
    return corners


def _axes(x: Scale, y: Scale, x_label: str, y_label: str, *, whole: bool) -> Markup:
    parts = [_x_axis(x, x_label, HEIGHT, whole=whole)]
    for tick, written in _named_ticks(y, 4):
        at = y(tick)
        parts.append(_line(x.start, at, x.end, at, "grid"))
        parts.append(tag("text", written, x=place(x.start - 6), y=place(at + 4), class_="end"))
    parts.append(_turned(y_label, 11, (TOP + HEIGHT - BOTTOM) / 2) if y_label else Markup(""))
    return tag("g", *parts)


def _named_ticks(scale: Scale, count: int, *, whole: bool = False) -> list[tuple[float, str]]:
    """About `count` round values of an axis, each with its text."""
    ticks = scale.ticks(count)
    if whole:
        ticks = [tick for tick in ticks if float(tick).is_integer()] or [scale.low]
    return [(tick, f"{tick:,.4g}" if scale.log else tick_text(tick, ticks)) for tick in ticks]


def _x_axis(x: Scale, label: str, height: float, *, whole: bool = False) -> Markup:
    bottom = height - BOTTOM
    parts = [_line(x.start, bottom, x.end, bottom, "axis")]
    for tick, written in _named_ticks(x, 5, whole=whole):
        at = x(tick)
        parts.append(_line(at, bottom, at, bottom + 4, "axis"))
        parts.append(tag("text", written, x=place(at), y=place(bottom + 17), class_="mid"))
    parts.append(tag("text", label, x=place((x.start + x.end) / 2), y=place(height - 6), class_="mid label"))
    return tag("g", *parts)


def _references(references: Sequence[tuple[str, float]], x: Scale, y: Scale) -> list[Markup]:
    found = []
    for label, value in references:
        at = y(value)
        found.append(_line(x.start, at, x.end, at, "reference"))
        found.append(tag("text", label, x=place(x.end - 2), y=place(at - 4), class_="end note"))
    return found


def _legend(series: Sequence[Series]) -> Markup | None:
    named = [(index, one) for index, one in enumerate(series) if one.name]
    if not named:
        return None
    return tag(
        "div", [swatch(one.name, f"s{index}", dot=one.style == "points") for index, one in named], class_="legend"
    )


def swatch(name: str, kind: str, *, dot: bool = False) -> Markup:
    """A name with the line, or the point, that it stands for."""
    if dot:
        shape = tag("circle", cx=11, cy=6, r=3.5, class_=f"spot {kind}")
    else:
        shape = tag("line", x1=1, y1=6, x2=21, y2=6, class_=f"line {kind}")
    return tag("span", tag("svg", shape, viewBox="0 0 22 12", width=22, height=12, aria_hidden="true"), " ", name)


def _turned(label: str, x: float, y: float) -> Markup:
    return tag("text", label, transform=f"translate({place(x)} {place(y)}) rotate(-90)", class_="mid label")


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", x1=place(x1), y1=place(y1), x2=place(x2), y2=place(y2), class_=kind)


def _dot(x: float, y: float, hint: str, kind: str) -> Markup:
    radius = {"knot": 1.8, "spot": 3.0, "small": 2.5, "mean": 4.5}[kind.split()[0]]
    return tag("circle", tag("title", hint), cx=place(x), cy=place(y), r=radius, class_=kind)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{place(x)},{place(y)}" for x, y in points)
