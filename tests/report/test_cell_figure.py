"""Drawn cells, measured with the renderer: what a reader sees, not what the layout intended."""

import os
import subprocess
import sys
from itertools import combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.transforms import Bbox

from darts_pl.genotype import Genotype, from_pairs
from darts_pl.report import cell_graph, draw_cells, operation_colour, save_cells


class Drawing:
    """The artists of a drawn figure by group id, with their extents in pixels."""

    def __init__(self, figure: Figure) -> None:
        figure.canvas.draw()
        self.figure = figure
        self.artists = {artist.get_gid(): artist for artist in figure.findobj(lambda a: a.get_gid() is not None)}

    def boxes(self, prefix: str) -> dict[int, Bbox]:
        return {
            int(gid.rpartition("-")[2]): artist.get_window_extent()
            for gid, artist in self.artists.items()
            if gid.startswith(prefix)
        }

    def points(self, gid: str) -> np.ndarray:
        """Points along an arrow, head included, at most half a pixel apart."""
        arrow = self.artists[gid]
        assert isinstance(arrow, FancyArrowPatch)
        path = arrow.get_transform().transform_path(arrow.get_path())
        pieces = []
        for line in path.to_polygons(closed_only=False):
            for start, stop in pairwise(line):
                steps = int(2 * np.abs(stop - start).max()) + 2
                pieces.append(start + np.linspace(0, 1, steps)[:, None] * (stop - start))
        return np.concatenate(pieces)


def overlap(first: Bbox, second: Bbox) -> bool:
    return first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1


def inside(inner: Bbox, outer: Bbox) -> bool:
    return outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1


def any_point_inside(points: np.ndarray, box: Bbox, shrink: float = 0.0) -> bool:
    x, y = points.T
    within_x = (x > box.x0 + shrink) & (x < box.x1 - shrink)
    return bool((within_x & (y > box.y0 + shrink) & (y < box.y1 - shrink)).any())


def test_every_name_is_readable_and_no_edge_hides_one(genotype: Genotype) -> None:
    drawing = Drawing(draw_cells(genotype))
    assert drawing.figure.dpi == 150
    assert 500 < drawing.figure.bbox.width < 1450, "about 1400 pixels, less for a cell of one or two nodes"
    for cell_type in genotype.cells:
        graph = cell_graph(genotype, cell_type)
        labels, nodes = drawing.boxes(f"{cell_type}-label-"), drawing.boxes(f"{cell_type}-node-")
        texts, names = drawing.boxes(f"{cell_type}-text-"), drawing.boxes(f"{cell_type}-name-")
        assert labels.keys() == {number for number, edge in enumerate(graph.edges) if edge.operation is not None}
        assert len(nodes) == len(graph.nodes)

        title = drawing.artists[f"{cell_type}-title"].get_window_extent()
        everything = [title, *labels.values(), *nodes.values()]
        assert not any(overlap(a, b) for a, b in combinations(everything, 2))
        assert all(inside(box, drawing.figure.bbox) for box in everything)
        assert all(inside(texts[number], labels[number]) for number in labels)
        assert all(inside(names[number], nodes[number]) for number in nodes)

        for number, edge in enumerate(graph.edges):
            points = drawing.points(f"{cell_type}-edge-{number}")
            assert not any_point_inside(points, title)
            for other, box in labels.items():
                assert any_point_inside(points, box) == (other == number), f"edge {number}, label {other}"
            for node, box in nodes.items():
                own = node in (edge.source, edge.target)
                assert not any_point_inside(points, box, shrink=1.5 if own else 0.0), f"edge {number}, node {node}"


def test_an_arrow_starts_at_its_source_and_its_head_touches_its_target(darts_v2: Genotype) -> None:
    drawing = Drawing(draw_cells(darts_v2))
    nodes = drawing.boxes("normal-node-")
    for number, edge in enumerate(cell_graph(darts_v2, "normal").edges):
        points = drawing.points(f"normal-edge-{number}")
        assert points[:, 0].min() == pytest.approx(nodes[edge.source].x1, abs=2)
        # the tip lies back by the width of its line, which is drawn around it
        assert points[:, 0].max() == pytest.approx(nodes[edge.target].x0, abs=4)


def test_panels_are_titled_by_cell_type(darts_v2: Genotype, darts_v2_rnn: Genotype) -> None:
    cnn, rnn = Drawing(draw_cells(darts_v2)).artists, Drawing(draw_cells(darts_v2_rnn)).artists
    assert cnn["normal-title"].get_text() == "normal cell"
    assert cnn["reduce-title"].get_text() == "reduction cell"
    assert rnn["recurrent-title"].get_text() == "recurrent cell"


def test_labels_print_operation_names_literally() -> None:
    names = ["$x^2$ & <b>", "a_{b}", "a_name_that_is_much_longer_than_any_that_was_published"]
    cell = ([(names[0], 0), (names[1], 1), (names[2], 2), ("none", 0)], [2, 3])
    drawing = Drawing(draw_cells(from_pairs("cnn", {"normal": cell, "reduce": cell})))
    assert [drawing.artists[f"normal-text-{number}"].get_text() for number in range(3)] == names
    labels, texts = drawing.boxes("normal-label-"), drawing.boxes("normal-text-")
    assert all(inside(texts[number], labels[number]) for number in labels)


def test_the_svg_keeps_operation_names_as_text(nasnet_a: Genotype, tmp_path) -> None:
    _, svg = save_cells(nasnet_a, tmp_path)
    tree = ElementTree.parse(svg)
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    for cell in nasnet_a.cells.values():
        for pair in cell.pairs:
            assert pair.operation in texts
    ids = {element.get("id") for element in tree.iter()}
    assert {"normal-node-0", "normal-edge-0", "normal-label-0", "reduce-text-9"} <= ids


def test_the_same_genotype_gives_the_same_bytes(darts_v2_rnn: Genotype, tmp_path) -> None:
    first = [path.read_bytes() for path in save_cells(darts_v2_rnn, tmp_path / "one")]
    second = [path.read_bytes() for path in save_cells(darts_v2_rnn, tmp_path / "two" / "deeper")]
    assert first == second
    assert first[0].startswith(b"\x89PNG")


def test_a_failed_write_leaves_the_old_file_and_no_other(darts_v2_rnn: Genotype, tmp_path, monkeypatch) -> None:
    (tmp_path / "cells.png").write_bytes(b"old")

    def fail(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_cells(darts_v2_rnn, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.png"]
    assert (tmp_path / "cells.png").read_bytes() == b"old"


@pytest.mark.slow  # a process that imports all that the report imports
def test_drawing_leaves_pyplot_alone() -> None:
    code = "import sys, darts_pl.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_operations_of_one_family_share_a_colour() -> None:
    assert operation_colour("sep_conv_3x3") == operation_colour("sep_conv_7x7")
    families = ["sep_conv_3x3", "dil_conv_3x3", "max_pool_3x3", "skip_connect", "conv_7x1_1x7", "something_else"]
    assert len({operation_colour(name) for name in families}) == len(families)
