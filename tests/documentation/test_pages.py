"""What the pages of the documentation say is what the program has."""

from __future__ import annotations

import importlib.util
import json
import re
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from darts_pl.genotype import parse
from darts_pl.records.contents import FILES, FOLDERS
from darts_pl.tasks import TASKS
from tests.documentation.pages import DOCS, NOTEBOOKS, ROOT, blocks, label

TUTORIALS = {
    "tutorial_operation.md": "own_operation.py",
    "tutorial_method.md": "own_method.py",
    "tutorial_space.md": "own_space.py",
    "tutorial_strategy.md": "own_strategy.py",
}


def lines_of(code: str) -> list[str]:
    return [line.rstrip() for line in code.splitlines() if line.strip()]


@pytest.mark.parametrize("page", TUTORIALS)
def test_the_code_of_a_tutorial_is_in_the_file_that_the_tests_run(page: str) -> None:
    example = lines_of((DOCS / "examples" / TUTORIALS[page]).read_text())
    shown = blocks(DOCS / page, "python")
    assert shown
    for block in shown:
        wanted = lines_of(block)
        pieces = [lines_of(textwrap.dedent("\n".join(example[at : at + len(wanted)]))) for at in range(len(example))]
        assert wanted in pieces, f"{page}: {wanted[0]}"


@pytest.mark.parametrize("page", ["tutorial_method.md"])
def test_the_yaml_of_a_tutorial_is_that_of_the_example(page: str) -> None:
    files = [path.read_text() for path in (DOCS / "examples" / "conf").rglob("*.yaml")]
    assert all(block in files for block in blocks(DOCS / page, "yaml"))


def test_the_interval_of_the_comparison_is_the_one_that_the_page_names(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks(DOCS / "tutorial_comparing.md", "python")
    exec(compile(block, "tutorial_comparing.md", "exec"), {})
    printed = capsys.readouterr().out
    # Student's t with 3 degrees of freedom has 3.182 as its 97.5 % quantile (any printed table).
    differences = [0.9, 0.5, 1.2, -0.2]
    mean = sum(differences) / 4
    deviation = (sum((one - mean) ** 2 for one in differences) / 3) ** 0.5
    half = 3.182 * deviation / 2
    assert printed == f"difference {mean:+.2f}, 95 % interval {mean - half:+.2f} to {mean + half:+.2f}\n"
    text = (DOCS / "tutorial_comparing.md").read_text()
    assert f"from {mean - half:+.2f} to {mean + half:+.2f}" in " ".join(text.split())


def test_the_file_of_images_on_the_page_is_one_that_the_program_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from darts_pl.data import npz

    monkeypatch.chdir(tmp_path)
    (block,) = blocks(DOCS / "data.md", "python")
    exec(compile(block, "data.md", "exec"), {})
    arrays = npz(tmp_path / "images.npz")
    assert len(arrays.x_train) == 48
    assert len(arrays.x_test) == 12


def test_every_task_has_a_row_and_a_command() -> None:
    page = DOCS / "tasks.md"
    rows = re.findall(r"^\| `(\w+)` \|", page.read_text(), flags=re.MULTILINE)
    commands = re.findall(r"task=(\w+)", "".join(blocks(page, "sh")))
    assert set(rows) == set(commands) == set(TASKS.list())


def test_every_file_that_a_run_writes_is_on_the_page_of_the_run_folder() -> None:
    page = (DOCS / "run_folder.md").read_text()
    assert [name for name in (*FILES, *FOLDERS) if f"`{name}" not in page] == []


def test_every_room_of_the_package_has_a_page_of_its_docstrings() -> None:
    written = set(re.findall(r"automodule:: darts_pl\.(\w+)", "".join(p.read_text() for p in DOCS.glob("api/*.rst"))))
    rooms = {path.parent.name for path in (ROOT / "darts_pl").glob("*/__init__.py")}
    assert rooms - written - {"command_line"} == set()


def test_the_drawings_are_those_of_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("draw", DOCS / "figures" / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    monkeypatch.setattr(draw, "FOLDER", tmp_path)
    for figure in draw.FIGURES:
        figure()
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in (DOCS / "figures").glob("*.svg")}


def test_the_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=label)
def test_a_notebook_runs_and_finds_a_cell(notebook: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # results are made where the site is built
            exec(compile("".join(cell["source"]), notebook.name, "exec"), names)
    plt.close("all")
    assert parse(str(names["genotype"])).kind == "cnn"
    entropies = [float(one) for one in re.findall(r"entropy ([\d.]+)", capsys.readouterr().out)]
    assert 1.386 > entropies[0] > entropies[-1]  # ln 4: four candidates, and the search decides
