"""Small random searches with short trainings, which several test files look at."""

import json
from pathlib import Path

import numpy as np
import pytest

from darts_pl.data import load
from darts_pl.strategies.race import HISTORY
from tests.tasks.conftest import csv_rows, finished

ROOT = Path(__file__).parents[2]
SMALL = (
    *("data=npz", "search.nodes=2", "search.candidates=[none,skip_connect,sep_conv_3x3]", "train.layers=3"),
    *("train.init_channels=2", "train.batch_size=40", "train.cutout=0", "train.drop_path=0.3"),
    *("train.auxiliary_weight=0", "hardware=cpu", "hardware.threads=1"),
)
RANDOM = ("task=random", "task.samples=3", "evaluator.epochs=2", *SMALL)


def images(path: Path, test: str = "digits") -> Path:
    """400 digits to train on; the test split is theirs, or useless."""
    digits = load("digits")
    x_test, y_test = digits.x_test, digits.y_test
    if test == "poisoned":
        x_test, y_test = np.zeros_like(x_test[:11]), np.zeros_like(y_test[:11])
    np.savez(path, x_train=digits.x_train[:400], y_train=digits.y_train[:400], x_test=x_test, y_test=y_test)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return images(tmp_path_factory.mktemp("images") / "digits.npz")


@pytest.fixture(scope="module")
def searched(tmp_path_factory, digits):
    return finished(
        tmp_path_factory.mktemp("random") / "run", *RANDOM, f"data.path={digits}", "logger=[csv,tensorboard]"
    )


def answers(folder: Path) -> list:
    """The history without times."""
    rows = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    for row in rows:
        del row["seconds"], row["facts"]["seconds"]
    return rows


def without_seconds(path: Path) -> list:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in csv_rows(path)]


def trained(folder: Path) -> list:
    return [without_seconds(folder / "samples" / f"{number:03d}" / "metrics.csv") for number in range(3)]
