"""What a section of a report consists of, as plain data that a page and a figure file draw in their own ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from darts_pl.genotype import Genotype
from darts_pl.report.strengths import Strengths

#: What a table or a list of facts holds.
Value = str | int | float | None


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text.

    Args:
        text: plain text.
        alarm: whether it must not be overlooked.
    """

    text: str
    alarm: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and values, one pair per line."""

    rows: Sequence[tuple[str, Value]]


@dataclass(frozen=True)
class Commands:
    """Commands to copy, each with what it does."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by each column.

    Args:
        headings: of the columns.
        rows: of values; numbers are aligned at the right.
        title: above the table; "" = none.
        folded: whether it is shown only when the reader opens it.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Value]]
    title: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Series:
    """One line, or one group of points, of a plot.

    Args:
        name: in the legend; "" = not in the legend.
        x, y: coordinates; None in `y` leaves a gap.
        low, high: a band around the line.
        style: "line", "steps" (a value holds until the next one), or "points".
        labels: by point, what a pointer shows.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    style: str = "line"
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Plot:
    """What all plots have.

    Args:
        name: of the file that holds the plot, without ending.
        title: above the plot.
    """

    name: str
    title: str


@dataclass(frozen=True)
class Curves(Plot):
    """Lines and points over two axes.

    Args:
        x_label, y_label: of the axes.
        series: what is drawn.
        references: (label, y) of horizontal lines, such as the mean of random cells.
        log_x, log_y: whether an axis is logarithmic.
    """

    x_label: str = "epoch"
    y_label: str = ""
    series: Sequence[Series] = ()
    references: Sequence[tuple[str, float]] = ()
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Interval:
    """A score with its uncertainty.

    Args:
        label: what was scored.
        value: the score.
        low, high: ends of the interval; None = unknown.
        points: single scores behind a mean.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    points: Sequence[float] = ()


@dataclass(frozen=True)
class Intervals(Plot):
    """Scores with intervals, one per line.

    Args:
        x_label: of the axis.
        rows: from the top.
    """

    x_label: str = ""
    rows: Sequence[Interval] = ()


@dataclass(frozen=True)
class Matrix(Plot):
    """Numbers as coloured squares.

    Args:
        rows, columns: names.
        values: [rows][columns]; None = no square.
        row_label, column_label: what the names are.
        chosen: (row, column) of squares that are marked.
        digits: decimals of the numbers in the squares; None = no numbers.
        lowest, largest: values of an empty and a full square; None = of the largest value.
    """

    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    values: Sequence[Sequence[float | None]] = ()
    row_label: str = ""
    column_label: str = ""
    chosen: frozenset[tuple[int, int]] = frozenset()
    digits: int | None = None
    lowest: float = 0.0
    largest: float | None = None


@dataclass(frozen=True)
class Cells:
    """All cells of a genotype as graphs.

    Args:
        name: of the file that holds the drawing, without ending.
        title: what this genotype is.
        genotype: what is drawn.
        strengths: mixing weights of chosen operations, which are written beside their names.
        note: a line below, such as the score.
    """

    name: str
    title: str
    genotype: Genotype
    strengths: Strengths = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class EdgeHistory:
    """The mixing weights of one edge over the epochs.

    Args:
        label: source and target of the edge.
        candidates: names.
        weights: [epochs][candidates]; None where a candidate is gone.
        chosen: index of the candidate in the genotype; None where the edge is not kept.
    """

    label: str
    candidates: Sequence[str]
    weights: Sequence[Sequence[float | None]]
    chosen: int | None


@dataclass(frozen=True)
class MixingHistory:
    """How the mixing weights of all edges moved, with the preview genotype of every epoch.

    Args:
        cells: by cell type its edges.
        genotypes: of every row; empty where they are not known.
        candidates: all names, which decide the colours.
        epochs: number of the epoch of each row, from 0 (before training).
        titles: by cell type what stands above its panels; the cell type itself where none is given.
    """

    cells: Mapping[str, Sequence[EdgeHistory]]
    genotypes: Sequence[Genotype]
    candidates: Sequence[str]
    epochs: Sequence[int]
    titles: Mapping[str, str] = field(default_factory=dict)

    def titled(self) -> Iterator[tuple[str, Sequence[EdgeHistory]]]:
        """The edges of every cell type after its title."""
        for cell_type, edges in self.cells.items():
            yield self.titles.get(cell_type, cell_type), edges


@dataclass(frozen=True)
class Stage:
    """A part of a network.

    Args:
        name: such as "cell 3".
        kind: "normal" or "reduction" of a cell, which are drawn differently; "" = no cell.
        shape: of the output, such as "36x16x16".
        parameters: number of weights.
        multiply_adds: for one sample; None = not counted.
    """

    name: str
    kind: str
    shape: str
    parameters: int
    multiply_adds: int | None


@dataclass(frozen=True)
class Network:
    """A network as a row of stages."""

    title: str
    stages: Sequence[Stage]


@dataclass(frozen=True)
class Image:
    """A small picture.

    Args:
        pixels: rows of rows of (red, green, blue) as bytes, [height * width * 3].
        width, height: in pixels.
        caption: below it.
    """

    pixels: bytes
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class Images:
    """Small pictures side by side."""

    items: Sequence[Image]


Block = Paragraph | Facts | Commands | Table | Curves | Intervals | Matrix | Cells | MixingHistory | Network | Images


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Args:
        key: of the section, which is its anchor.
        title: its heading.
        blocks: what it shows.
    """

    key: str
    title: str
    blocks: Sequence[Block]
