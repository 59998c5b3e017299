"""The page of a run: well-formed, self-contained, escaped, and with the numbers of the files."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from darts_pl.report.page import SECTIONS, Report, RunFiles, Section, build_sections, render_page
from darts_pl.report.page.blocks import (
    Curves,
    EdgeHistory,
    Facts,
    Interval,
    Intervals,
    Matrix,
    MixingHistory,
    Paragraph,
    Series,
    Table,
)
from darts_pl.report.page.markup import VOID, tag
from darts_pl.report.page.page import render_block
from darts_pl.report.page.scale import fitting, tick_text
from darts_pl.report.page.sections.registry import Entry
from darts_pl.report.page.sections.strategy import pareto
from tests.report.made_up_run import HOSTILE, genotypes, made_up_run


class Page(HTMLParser):
    """Elements with attributes, text by element, and whether every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of that name; `wanted` are substrings of attributes."""
        keys = {key.rstrip("_"): value for key, value in wanted.items()}
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and all(value in (attributes.get(key) or "").split() for key, value in keys.items())
        ]


@pytest.fixture(scope="module")
def run() -> RunFiles:
    return made_up_run()


@pytest.fixture(scope="module")
def page(run: RunFiles) -> Page:
    sections = build_sections(Report(run, [("data.path", HOSTILE, "")], "python run.py", [("next", HOSTILE)]))
    return Page(render_page(f"Run {HOSTILE}", run.state, [("test accuracy", "0.825", HOSTILE)], sections, "end"))


def test_every_section_with_data_is_on_the_page_and_in_its_navigation(page):
    keys = [attributes["id"] for attributes in page.of("section")]
    expected = "warnings run cells scores mixing search_curves training_curves test numbers"
    assert [key for key in keys if key != "network"] == expected.split()
    assert [attributes["href"] for attributes in page.of("a")] == [f"#{key}" for key in keys]


def test_the_page_refers_to_nothing_outside_of_itself(page):
    references = [
        value for _, attributes in page.elements for key, value in attributes.items() if key in ("src", "href", "url")
    ]
    assert all(value.startswith(("#", "data:")) for value in references)
    style = "".join(text for element, text in page.texts if element in ("style", "script"))
    assert "http" not in style
    assert "@import" not in style
    assert "url(" not in style


def test_names_that_look_like_elements_stay_text(page):
    scripts = page.of("script")
    assert scripts == [{"type": "application/json", "id": "mixing-data"}, {}]
    assert sum(HOSTILE in text for element, text in page.texts if element != "script") >= 6
    assert page.of("img")[0]["alt"] == f'is {HOSTILE}, seen as "d"; probability of {HOSTILE} 0.01'


def test_the_summary_on_the_page_is_that_of_the_file(page, run):
    cells = [attributes.get("data-value") for attributes in page.of("td")]
    for value in run.summary.values():
        if isinstance(value, float):
            assert repr(value) in cells
    words = " ".join(text for _, text in page.texts)
    assert "123,456" in words


def test_the_slider_has_the_softmax_of_the_alphas_of_every_epoch(page, run):
    stored = json.loads(next(text for element, text in page.texts if element == "script" and text.startswith("{")))
    arrays = run.parts["search"].arrays
    weights = np.concatenate([arrays["normal"], arrays["reduce"]], axis=1)
    expected = np.exp(weights) / np.exp(weights).sum(-1, keepdims=True)
    found = np.array(stored["weights"]).reshape(expected.shape) * stored["largest"]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert stored["largest"] == pytest.approx(expected.max())
    assert stored["epochs"] == [0, 1, 2, 3, 4]
    assert page.of("div", class_="slider")[0].keys() >= {"hidden"}  # it does nothing without JavaScript


def test_a_panel_marks_the_candidate_that_the_genotype_has(page, run):
    kept = sum(len(node) for cell in run.genotype.cells.values() for node in cell.nodes)
    assert len(page.of("polyline", class_="bold")) == kept


def test_a_line_is_drawn_in_proportion_to_its_values():
    values = [1.0, 4.0, 2.5]
    drawn = Page(render_block(Curves("a", "b", "epoch", "c", [Series("d", [1, 2, 3], values)])))
    points = [tuple(map(float, pair.split(","))) for pair in drawn.of("polyline")[0]["points"].split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert (x2 - x1) == pytest.approx(x1 - x0, abs=0.11)
    assert (y2 - y0) / (y1 - y0) == pytest.approx((2.5 - 1) / (4 - 1), abs=0.002)
    assert y1 < y2 < y0  # larger is higher


def test_a_missing_value_leaves_a_gap_in_its_line():
    drawn = Page(render_block(Curves("a", "b", series=[Series("d", range(5), [1, 2, None, 3, 4])])))
    assert len(drawn.of("polyline")) == 2


def test_the_texts_of_an_axis_are_its_ticks():
    draw = np.random.default_rng(0)
    for low, width in zip(draw.uniform(-50, 50, 200), 10 ** draw.uniform(-2.5, 4, 200), strict=True):
        ticks = fitting([low, low + width], 0, 1).ticks()
        assert len(ticks) >= 2
        factors = {"k": 1e3, "M": 1e6, "G": 1e9}
        for tick in ticks:
            shown = tick_text(tick, ticks)
            value = float(shown.rstrip("kMG")) * factors.get(shown[-1], 1)
            assert value == pytest.approx(tick, rel=1e-3, abs=(ticks[1] - ticks[0]) / 100)


def test_the_opacity_of_a_square_is_its_fraction_of_the_largest_value():
    drawn = Page(render_block(Matrix("a", "b", ["r"], ["c", "d", "e"], [[1.0, None, 4.0]], chosen=frozenset({(0, 2)}))))
    squares = drawn.of("rect", class_="square")
    assert [float(one["fill-opacity"]) for one in squares] == [0.25, 1.0]
    assert [one["class"] for one in squares] == ["square", "square chosen"]


def test_the_interval_of_a_score_ends_where_its_axis_says():
    rows = [Interval("a", 0.5, 0.25, 0.75), Interval("b", 1.0)]
    drawn = Page(render_block(Intervals("a", "b", rows=rows)))
    ends = drawn.of("line", class_="interval")[0]
    middle, last = (float(one["cx"]) for one in drawn.of("circle", class_="mean"))
    assert float(ends["x1"]) == pytest.approx(middle - (last - middle) / 2, abs=0.2)
    assert float(ends["x2"]) == pytest.approx((middle + last) / 2, abs=0.2)


def test_a_number_in_a_table_is_sorted_by_its_full_value():
    drawn = Page(render_block(Table(["a", "b"], [[0.123456789, "x"], [None, "y"]])))
    assert [one.get("data-value") for one in drawn.of("td")] == ["0.123456789", None, "", None]


def test_the_pareto_front_has_exactly_the_pairs_that_no_other_beats():
    draw = np.random.default_rng(0)
    pairs = [(float(cost), float(score)) for cost, score in draw.integers(0, 12, (60, 2))]
    unbeaten = {
        (cost, score)
        for cost, score in pairs
        if not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in pairs)
    }
    assert set(pareto(pairs)) == unbeaten


def test_a_section_that_fails_says_so_and_leaves_the_others(run, monkeypatch):
    def fail(report: Report) -> list[Paragraph]:
        raise ZeroDivisionError("of a user's component")

    monkeypatch.setitem(SECTIONS._items, "scores", Entry("Scores", fail))
    sections = {one.key: one for one in build_sections(Report(run))}
    (block,) = sections["scores"].blocks
    assert block == Paragraph("This section could not be drawn (ZeroDivisionError: of a user's component).", alarm=True)
    assert "mixing" in sections


def test_characters_that_html_forbids_become_question_marks():
    assert tag("p", "a\x00b\x1b[1m", title='"') == '<p title="&quot;">a?b?[1m</p>'


def test_a_zero_is_a_value_and_nothing_is_none():
    assert tag("input", value=0, min=0.0, max=None, hidden=True, open=False) == '<input value="0" min="0.0" hidden>'


def test_a_run_of_which_nothing_is_known_still_has_a_page(tmp_path):
    page = render_page("empty", "unfinished", [], build_sections(Report(RunFiles(tmp_path))))
    assert "has not finished" in " ".join(text for _, text in Page(page).texts)


def test_the_entropy_plot_has_the_entropy_of_equal_weights_as_reference(run):
    sections = {one.key: one for one in build_sections(Report(run))}
    (plot,) = [block for block in sections["search_curves"].blocks if block.name == "search_entropy"]
    assert plot.references == [("equal weights", math.log(3))]


def test_a_method_s_own_quantity_has_a_plot(run):
    sections: dict[str, Section] = {one.key: one for one in build_sections(Report(run))}
    (plot,) = [block for block in sections["search_curves"].blocks if block.name == "search_my_quantity"]
    assert list(plot.series[0].y) == run.parts["search"].metrics["search/my_quantity"]
    assert re.fullmatch("My quantity", plot.title)


def test_the_test_section_is_of_the_training_of_the_found_cell(run):
    other, trained = made_up_run(nodes=2).parts["retrain"], run.parts["retrain"]
    wrong = replace(other, genotype=genotypes(1, seed=5)[0], test={"confusion": np.array([[0, 40], [0, 0]])})
    parts = {"final/random/0": wrong, "final/search/0": trained}
    sections = {one.key: one for one in build_sections(Report(replace(run, parts=parts)))}
    (matrix,) = [block for block in sections["test"].blocks if isinstance(block, Matrix)]
    assert matrix.title == "Confusion matrix: 33 right, 7 wrong"
    assert sections["test"].blocks[0] == Paragraph("Of 2 tested networks this is the one in final/search/0.")


def test_the_network_that_a_training_was_compared_with_stands_beside_it(run):
    summary = {"task": "retrain", "test/accuracy": 0.5, "test/images": 400, "compare/network": "resnet18",
               "compare/test_accuracy": 0.75, "compare/conclusion": "It is worse."}  # fmt: skip
    sections = {one.key: one for one in build_sections(Report(replace(run, summary=summary, parts={})))}
    conclusion, plot = sections["scores"].blocks
    assert conclusion == Paragraph("It is worse.")
    assert [(row.label, row.value) for row in plot.rows] == [("this training", 0.5), ("resnet18", 0.75)]
    # Wilson's interval of 300 of 400, from the formula with z = 1.96
    centre, half = (0.75 + 1.96**2 / 800) / (1 + 1.96**2 / 400), 1.96 * math.sqrt(0.75 * 0.25 / 400 + 1.96**2 / 640000)
    half /= 1 + 1.96**2 / 400
    assert (plot.rows[1].low, plot.rows[1].high) == pytest.approx((centre - half, centre + half), abs=1e-4)


def test_names_of_a_matrix_leave_room_for_each_other_and_for_the_axis():
    names = ["n01440764", "a class with a name of forty letters, or so"]
    drawn = Page(render_block(Matrix("a", "b", names, names, [[1.0, 2.0]] * 2, "class", "predicted")))
    left = min(float(one["x"]) for one in drawn.of("rect"))
    longest = max(len(text) for element, text in drawn.texts if element == "text")
    assert longest == 22
    assert left - 6 - 7 * longest > 11  # "class" stands upright at 11, and no letter is wider than 7
    turned = [one["transform"] for one in drawn.of("text") if "rotate(-46)" in one.get("transform", "")]
    start = float(turned[0].split()[1].rstrip(")"))
    assert start - 7 * longest * math.sin(math.radians(46)) > 12  # "predicted" stands on 12


def test_a_logarithmic_axis_names_round_values():
    assert fitting([0.001006, 0.025], 0, 1, log=True).ticks() == pytest.approx([0.002, 0.005, 0.01, 0.02])
    assert fitting([0.0009, 2.0], 0, 1, log=True).ticks() == pytest.approx([0.001, 0.01, 0.1, 1])


def test_numbers_of_many_digits_leave_room_for_the_label_of_their_axis():
    drawn = Page(render_block(Curves("a", "b", y_label="nats", series=[Series("", [1, 2], [1.609434, 1.609438])])))
    numbers = [(one, text) for one, text in zip(drawn.of("text"), _svg_texts(drawn), strict=True) if "1.6094" in text]
    assert numbers
    assert all(float(one["x"]) - 6.5 * len(text) > 14 for one, text in numbers)


def test_mixing_weights_that_lie_close_together_fill_the_axis_and_the_squares():
    edge = EdgeHistory("0 -> 1", ["a", "b"], [[0.5, 0.5], [0.55, 0.45]], 0)
    drawn = Page(render_block(MixingHistory({"cell": [edge]}, [], ["a", "b"], [0, 1])))
    assert [float(one["fill-opacity"]) for one in drawn.of("rect", class_="square")] == [1.0, 0.0]
    stored = json.loads(next(text for element, text in drawn.texts if element == "script"))
    assert (stored["lowest"], stored["largest"], stored["weights"]) == (0.45, 0.55, [[0.5, 0.5], [1.0, 0.0]])
    assert "mixing weight from 0.45 to 0.55" in " ".join(text for _, text in drawn.texts)


def test_the_cost_of_a_protocol_is_that_of_all_its_parts(run):
    parts = {f"searches/{seed}": RunFiles(Path(f"{seed}"), summary={"steps": 10, "images": 640}) for seed in range(3)}
    sections = {one.key: one for one in build_sections(Report(replace(run, parts=parts)))}
    facts = dict(next(block for block in sections["run"].blocks if isinstance(block, Facts)).rows)
    assert (facts["steps, all parts"], facts["images, all parts"]) == (30, 1920)


def _svg_texts(page: Page) -> list[str]:
    return [text for element, text in page.texts if element == "text"]


def test_a_comparison_of_spaces_shows_the_entropy_of_the_cells_of_each(run):
    other = RunFiles(Path("b"), metrics={"epoch": [0, 1], "search/entropy_cell": [0.5, 0.25]},
                     arrays={"cell": np.zeros((3, 6, 5))})  # fmt: skip
    for runs in ([("a", run), ("b", other)], [("b", other), ("a", run)]):
        sections = {one.key: one for one in build_sections(Report(runs[0][1], compared=runs))}
        plots = {block.name: block.series for block in sections["search_curves"].blocks}
        assert [one.name for one in plots["search_entropy_normal"]] == ["a"]
        assert [list(one.y) for one in plots["search_entropy_cell"]] == [[0.5, 0.25]]
