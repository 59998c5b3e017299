"""What a figure for a paper shows of a plot, read from matplotlib's objects and from the SVG of the page."""

from __future__ import annotations

import re

import pytest
from matplotlib.text import Text

from darts_pl.report.page.blocks import Curves, EdgeHistory, Interval, Intervals, MixingHistory, Series
from darts_pl.report.page.plots import draw_intervals, two_lines
from darts_pl.report.page.vector_figures import figures_of


@pytest.mark.parametrize(("epochs", "marked"), [(1, True), (3, True), (50, False)])
def test_a_curve_of_few_epochs_shows_its_points(epochs: int, marked: bool) -> None:
    plot = Curves("loss", "Loss", "epoch", "nats", [Series("run", list(range(1, epochs + 1)), [0.5] * epochs)])
    ((_, figure),) = figures_of(plot)
    (axes,) = figure.axes
    points = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == epochs]
    assert bool(points) is marked


def test_a_long_label_stands_on_two_lines_in_both_forms() -> None:
    rows = [Interval("darts, first order, shared_weights", 0.5521), Interval("random", 0.34)]
    ((_, figure),) = figures_of(Intervals("scores", "Scores", rows=rows))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["darts, first order, shared_\nweights", "random"]
    drawn = str(draw_intervals(Intervals("scores", "Scores", rows=rows)))
    assert re.findall(r">([\w, ]+)<title>", drawn) == ["darts, first order, shared_", "weights", "random"]
    assert re.findall(r'class="value"[^>]*>([\d.]+)<', drawn) == ["0.552", "0.340"]


@pytest.mark.parametrize("label", ["a" * 70, "one two " * 9, "x", "a label of exactly 28 letters"[:28]])
def test_lines_of_a_label_are_at_most_28_letters_long(label: str) -> None:
    lines = two_lines(label)
    assert len(lines) <= 2
    assert all(0 < len(line) <= 28 for line in lines)
    assert label.startswith(lines[0])


def test_a_title_beside_long_labels_stays_inside_the_column() -> None:
    rows = [Interval("darts, first order, perturbation", 0.5521)]
    title = "Cells of the searches, valid split, with the 95 % interval"
    ((_, figure),) = figures_of(Intervals("scores", title, rows=rows))
    figure.canvas.draw()
    drawn = next(text for text in figure.findobj(Text) if text.get_text() == title)
    assert drawn.get_window_extent().x1 <= figure.bbox.x1


@pytest.mark.parametrize(("weights", "ends"), [([0.5, 0.45, 0.55], (0.45, 0.555)), ([0.5, 0.1, 0.8], (0, 0.84))])
def test_panels_of_mixing_weights_that_lie_close_together_are_filled(
    weights: list[float], ends: tuple[float, float]
) -> None:
    edge = EdgeHistory("0 -> 1", ["a"], [[value] for value in weights], None)
    ((_, figure),) = figures_of(MixingHistory({"cell": [edge]}, [], ["a"], [0, 1, 2]))
    assert figure.axes[0].get_ylim() == pytest.approx(ends)


def test_figures_of_one_cell_type_share_its_name() -> None:
    edge = EdgeHistory("0 -> 1", ["a"], [[0.5]], None)
    cells, titles = {"normal": [edge], "reduce": [edge]}, {"normal": "normal cell", "reduce": "reduction cell"}
    history = MixingHistory(cells, [], ["a"], [0], titles)
    assert [name for name, _ in figures_of(history)] == ["mixing_normal", "mixing_reduce"]
    assert [title for title, _ in history.titled()] == ["normal cell", "reduction cell"]
    ((only, _),) = figures_of(MixingHistory({"recurrent": [edge]}, [], ["a"], [0]))
    assert only == "mixing"
