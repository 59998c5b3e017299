"""Commands in process: what they leave, and what they refuse."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from darts_pl.cli import main


def finished(folder: Path, *arguments: str) -> Path:
    """The folder of a command that must succeed."""
    assert main([*arguments, f"hydra.run.dir={folder}"]) == 0
    return folder


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table that a run wrote."""
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must be refused with status 2 in at most three lines; returns its message."""

    def run(*arguments: str) -> str:
        status = main([*arguments, f"hydra.run.dir={tmp_path / 'refused'}"])
        error = capsys.readouterr().err
        assert status == 2, error
        assert "Traceback" not in error
        assert error.startswith("error: ")
        assert 1 <= len(error.strip().splitlines()) <= 3, error
        return error

    return run


@pytest.fixture(scope="session")
def summary_of() -> Callable[..., dict[str, object]]:
    """Runs a command that must succeed; returns its summary."""

    def run(folder: Path, *arguments: str) -> dict[str, object]:
        return json.loads((finished(folder, *arguments) / "summary.json").read_text())

    return run


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small photos in two classes, dark and bright, of several sizes and modes."""
    draw = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 12), ("val", 5)):
        for name, level in (("bright", 155), ("dark", 0)):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                height, width = draw.integers(10, 40, 2)
                pixels = (level + draw.integers(0, 100, (height, width, 3))).astype(np.uint8)
                mode = ("RGB", "L", "CMYK")[number % 3]
                Image.fromarray(pixels).convert(mode).save(root / split / name / f"{number}.jpg")
    return root
