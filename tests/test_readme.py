"""The README's Python and its promises."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from darts_pl.genotype import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_lines_in_plain_pytorch_run_and_print_a_genotype(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), flags=re.DOTALL)
    (block,) = [one for one in blocks if "SearchStep" in one]
    exec(compile(block, "extending.md", "exec"), {})
    genotype = parse(capsys.readouterr().out)
    assert {pair.operation for pair in genotype.cells["normal"].pairs} <= {
        "max_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
    }


@pytest.mark.slow
def test_the_notebook_lines_search_and_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(re.sub(r"epochs=\d", "epochs=1", block), "README.md", "exec"), names)
    shown = capsys.readouterr().out.splitlines()
    genotype = parse(next(line for line in shown if line.startswith("Genotype(")))
    assert set(genotype.cells) == {"normal", "reduce"}
    accuracy, folder = shown[-2].split(" ", 1)  # the last line is the prediction
    # A fifth of 400 images, in proportion, was set aside: the accuracy is a number of images out of 80.
    assert float(accuracy) * 80 == pytest.approx(round(float(accuracy) * 80), abs=0.01)
    assert parse((tmp_path / folder / "genotype.json").read_text()) == genotype


def test_every_file_and_experiment_that_the_readme_names_is_there() -> None:
    for path in re.findall(r"`((?:conf|darts_pl|docs)/[\w./]+)`|\]\((docs/[\w./]+)\)", README):
        assert (ROOT / (path[0] or path[1])).exists(), path
    for experiment in re.findall(r"experiment=(\w+)", README):
        assert (ROOT / "conf" / "experiment" / f"{experiment}.yaml").is_file(), experiment


def names_in(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that the Python of a page imports from the package."""
    for block in re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("darts_pl"):
                yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_every_name_that_a_page_imports_is_there(path: Path) -> None:
    for module, name in names_in(path):
        assert hasattr(importlib.import_module(module), name), f"{path.name}: {module}.{name}"


ROOMS = sorted(path.parent.name for path in (ROOT / "darts_pl").glob("*/__init__.py"))


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_every_name_that_a_room_exports_is_there(room: str) -> None:
    module = importlib.import_module(f"darts_pl.{room}".rstrip("."))
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    assert all(hasattr(module, name) for name in names)


def test_importing_the_package_alone_loads_neither_torch_nor_a_framework() -> None:
    names = ("torch", "hydra", "pytorch_lightning")
    code = f"import sys, darts_pl; print([name for name in {names} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
