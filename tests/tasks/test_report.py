"""Reports, figures and drawings as commands."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from darts_pl.cli import main
from darts_pl.spaces.nasbench201 import OPERATIONS, NasBench201
from darts_pl.tasks.execution import reporting
from tests.tasks.conftest import finished

SVG = "{http://www.w3.org/2000/svg}"
STRATEGY = ["task=strategy", "strategy=random", "evaluator=table", "search=nasbench201", "budget.evaluations=12"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short search without gradients."""
    return finished(tmp_path_factory.mktemp("runs") / "strategy", *STRATEGY)


def data_values(page: str) -> list[str]:
    return re.findall(r'data-value="([^"]*)"', page)


def test_a_run_ends_with_its_report_and_says_where_it_is(tmp_path, capsys):
    folder = finished(tmp_path / "run", *STRATEGY)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["report", str(folder / "report.html")] in lines
    page = (folder / "report.html").read_text()
    record = json.loads((folder / "run.json").read_text())
    assert (record["state"], record["reason"]) == ("finished", "")
    assert record["versions"]["torch"] in page


def section_of(page: str, key: str) -> str:
    return page.partition(f'<section id="{key}">')[2].partition("</section>")[0]


def test_the_report_of_a_strategy_shows_the_values_of_the_table_for_the_genotypes_that_were_asked(run):
    page, table = section_of((run / "report.html").read_text(), "strategy"), NasBench201()
    asked = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    cells = [table.lookup("+".join(f"|{part}|" for part in split_by_node(row["integers"]))) for row in asked]
    scores = [cell.cifar10_valid_ep12 for cell in cells]

    # The ranking has every cell with the table's value, the best first.
    ranked = re.findall(r'data-value="([^"]*)">[^<]*</td><td class="text">([^<]*)</td>', page)
    expected = sorted({(cell.cifar10_valid_ep12, cell.text) for cell in cells}, reverse=True)
    assert [(float(score), text) for score, text in ranked] == expected

    # Both axes are linear, so the tops of the steps and the points follow from the scores by one scale.
    ticks = [
        (float(y), float(text))
        for y, text in re.findall(r'<text x="54" y="([\d.]+)" class="end">([\d.]+)</text>', page.partition("</svg>")[0])
    ]
    slope, offset = np.polyfit(*zip(*((text, y - 4) for y, text in ticks), strict=True), 1)  # a label is 4 lower
    figure = page.partition("</svg>")[0]
    (steps,) = re.findall(r'<polyline points="([^"]*)"', figure)
    corners = np.array([[float(number) for number in pair.split(",")] for pair in steps.split()])
    assert corners[::2, 1] == pytest.approx(slope * np.maximum.accumulate(scores) + offset, abs=0.2)
    points = np.array(re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="3.0"', figure), dtype=float)
    assert points[:, 1] == pytest.approx(slope * np.array(scores) + offset, abs=0.2)
    assert np.diff(points[:, 0]) == pytest.approx((points[-1, 0] - points[0, 0]) / (len(scores) - 1), abs=0.11)
    assert corners[::2, 0] == pytest.approx(points[:, 0])


def split_by_node(integers: list[int]) -> list[str]:
    """The benchmark's text of the three nodes, from the number of the operation on each edge."""
    edges = [f"{OPERATIONS[one]}~{source}" for one, source in zip(integers, (0, 0, 1, 0, 1, 2), strict=True)]
    return [edges[0], "|".join(edges[1:3]), "|".join(edges[3:])]


def test_the_report_gives_the_command_and_the_settings_that_differ_from_the_defaults(run):
    page = (run / "report.html").read_text()
    assert f"python run.py {' '.join(STRATEGY)}" in page
    table = page.partition("settings that differ from the defaults")[2].partition("</table>")[0]
    rows = re.findall(r'<td class="text">([a-z_.]+)</td>', table)
    assert "budget.evaluations" in rows
    assert "search.space" in rows
    assert "seed" not in rows


def test_a_report_is_made_again_in_the_folder_of_the_run(run, tmp_path, capsys):
    (run / "report.html").unlink()
    finished(tmp_path / "again", "task=report", f"run={run}")
    assert (run / "report.html").is_file()
    assert str(run / "report.html") in capsys.readouterr().out


def test_a_report_that_cannot_be_made_costs_one_line(tmp_path, capsys, monkeypatch):
    def fail(found: object) -> str:
        raise OSError("no room\nat all")

    monkeypatch.setattr(reporting, "report_page", fail)
    folder = finished(tmp_path / "run", *STRATEGY)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("report")]
    assert line == f"report.html was not written (OSError: no room at all); task=report run={folder} tries again"
    assert (folder / "summary.json").is_file()


def test_a_comparison_shows_the_runs_beside_each_other(run, tmp_path):
    other = finished(tmp_path / "other", *STRATEGY, "seed=1")
    page = (finished(tmp_path / "both", "task=report", f"runs=[{run},{other}]") / "report.html").read_text()
    for folder in (run, other):
        assert repr(json.loads((folder / "summary.json").read_text())["strategy/score"]) in data_values(page)
    assert '<td class="text">seed</td>' in page  # the one setting that differs
    assert len(re.findall(r'<polyline [^>]*class="line s\d"', page)) >= 2


def test_what_a_report_cannot_read_is_refused_in_one_line(refused, tmp_path):
    assert "give run=FOLDER" in refused("task=report")
    assert "there is no such folder" in refused("task=report", f"run={tmp_path / 'none'}")
    assert "no run has written anything there" in refused("task=figures", f"run={tmp_path}")
    assert "use format=pdf|svg|png" in refused("task=figures", f"run={tmp_path}", "format=onnx")


def test_figures_keep_text_as_text_and_are_one_column_wide(run, tmp_path, capsys):
    folder = finished(tmp_path / "figures", "task=figures", f"run={run}", "format=svg") / "figures"
    names = {path.stem for path in folder.iterdir()}
    assert names >= {"cells", "strategy_evaluations", "table"}
    genotype = json.loads((run / "summary.json").read_text())["genotype"]
    drawn = ET.parse(folder / "cells.svg").getroot()
    texts = sorted("".join(one.itertext()).strip() for one in drawn.iter(f"{SVG}text"))
    operations = sorted(name for name, _ in re.findall(r"(\w+)~(\d)", genotype) if name != "none")
    assert [text for text in texts if "_" in text and not text.startswith("c")] == operations
    for path in folder.iterdir():
        assert ET.parse(path).getroot().get("width") == "241.2pt"  # 3.35 inches


def test_a_cell_is_drawn_from_its_name_without_strengths(tmp_path):
    folder = finished(tmp_path / "drawn", "task=draw", "genotype=darts_v1")
    drawn = (folder / "cells.svg").read_text()
    assert "sep_conv_3x3<" in drawn
    assert json.loads((folder / "summary.json").read_text())["strengths"] is False


@pytest.mark.slow
def test_a_searched_cell_is_drawn_with_its_mixing_weights_and_a_failed_run_has_a_report(tmp_path, capsys):
    small = ["data=digits", "order=first", "search.layers=3", "search.init_channels=4", "search.epochs=1",
             "search.batch_size=64", "hardware=cpu"]  # fmt: skip
    folder = finished(tmp_path / "search", "task=search", *small)
    drawn = (finished(tmp_path / "drawn", "task=draw", f"genotype={folder}") / "cells.svg").read_text()
    assert re.search(r"(conv|pool|connect)\w* 0\.1\d<", drawn)  # near 1/8
    assert main(["task=search", *small, "search.weights.lr=1e30", f"hydra.run.dir={tmp_path / 'failed'}"]) == 2
    page = (tmp_path / "failed" / "report.html").read_text()
    assert "The run failed" in page
