"""The example of docs/methods.md, which is a whole method in one file, and what the page says of every method."""

from __future__ import annotations

import csv
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from darts_pl.cli import config_folder, main
from darts_pl.genotype import KINDS
from darts_pl.spaces import RELAXATIONS
from darts_pl.tasks import TASKS
from tests.registrations import forgotten_after

assert TASKS  # importing the tasks declares the sections

PAGE = (Path(__file__).parents[1] / "docs" / "methods.md").read_text(encoding="utf-8")
SMALL = ["data=digits", "search.layers=3", "search.init_channels=4", "search.nodes=2", "search.batch_size=240"]
SMALL += ["search.candidates=[none,skip_connect,max_pool_3x3]", "search.epochs=2", "search.alphas.lr=0.1"]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The words after run.py of the page's two commands, in a folder with its file."""
    section = PAGE.split("## Write your own method")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (tmp_path / "own_sparsemax.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^    python run\.py (.*)$", section, re.MULTILINE)
    with forgotten_after(monkeypatch, (KINDS,), lambda name: name == "own_sparsemax"):
        yield commands


def test_the_example_searches_with_the_commands_of_the_page_and_logs_its_schedule(
    example: list[str], tmp_path: Path
) -> None:
    assert len(example) == 2
    for number, command in enumerate(example):
        folder = tmp_path / f"run{number}"
        assert main([*command.split(), *SMALL, f"hydra.run.dir={folder}"]) == 0
        with (folder / "metrics.csv").open(newline="") as file:
            assert [float(row["search/scale"]) for row in csv.DictReader(file)] == [1.0, 10.0]
        with np.load(folder / "alphas.npz") as alphas:
            assert not np.array_equal(alphas["normal"][0], alphas["normal"][-1])
    make = RELAXATIONS.get("sparsemax")
    relaxation = make(RELAXATIONS.settings("sparsemax")(scale=10.0))
    # By hand: the nearest point of the simplex, first with two candidates above 0, then with one.
    rows = torch.tensor([[1.0, 0.9, -1.0], [0.2, 3.0, 0.1]])
    torch.testing.assert_close(relaxation.expected(rows, None), torch.tensor([[0.55, 0.45, 0.0], [0.0, 1.0, 0.0]]))
    live = torch.tensor([[False, True, True], [True, True, True]])
    torch.testing.assert_close(relaxation.expected(rows, live)[0], torch.tensor([0.0, 1.0, 0.0]))
    generator = torch.Generator().manual_seed(0)
    many = torch.randn(50, 8, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(relaxation.expected(many, None), projected(many))


def projected(rows: Tensor) -> Tensor:
    """The nearest point of the simplex to each row: the threshold is found by bisection."""
    low, high = rows.min(1).values - 1, rows.max(1).values
    for _ in range(200):
        middle = (low + high) / 2
        above = (rows - middle[:, None]).clamp(min=0).sum(1) > 1
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return (rows - low[:, None]).clamp(min=0)


METHODS = sorted(path.stem for path in config_folder().glob("method/*.yaml"))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_row_a_section_a_source_and_commands_that_exist(method: str) -> None:
    assert re.search(rf"^\| [^|\n]*`{method}`", PAGE, re.MULTILINE)
    sections = [one for one in PAGE.split("\n## ") if f"`method={method}`" in one and "\nSource: " in one]
    assert len(sections) == 1, method
    (section,) = sections
    plain = " ".join(section.split())
    assert "Published: " in plain
    assert re.search(r"Ours(, [^:]+)?: (\d\d\.\d\d|not measured)", plain)
    assert re.search(r"\b([Tt]ake|[Uu]se) it\b|[Tt]ake the random form", plain)  # when to take it
    assert re.search(r"\bcosts?\b|\btakes? [\d.]+\b|of the time\b|as long as|no further pass|affordable", plain)
    assert any("=" in line for line in section.splitlines() if line.startswith("    ") and "run.py" not in line)
    experiments = re.findall(r"experiment=(\w+)", section)
    for name in experiments:
        assert (config_folder() / "experiment" / f"{name}.yaml").exists(), name
    small = "cifar10_small" if method == "darts" else f"{method}_cifar10_small"
    assert {f"{method}_cifar10", small} <= set(experiments)


def test_the_searches_on_imagenet_have_the_published_recipes_with_a_source_beside_each_number() -> None:
    for name in ("pc_darts_imagenet", "dr_nas_imagenet"):
        text = (config_folder() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
        numbers = [line for line in text.splitlines() if re.search(r"^ +\w+: +\[?\d", line)]
        assert len(numbers) >= 15
        assert all("#" in line for line in numbers), textwrap.dedent("\n".join(numbers))
