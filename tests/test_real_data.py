"""Reduced trainings on real images, well above chance. DARTS_DATA names the folder that holds them."""

import json
from pathlib import Path

import pytest

from darts_pl.cli import main

pytestmark = pytest.mark.slow


def accuracy(folder: Path, *arguments: str) -> float:
    assert main([*arguments, f"hydra.run.dir={folder}"]) == 0
    return float(json.loads((folder / "summary.json").read_text())["test/accuracy"])


@pytest.mark.real_data("cifar10-lossless-5k.npz")
def test_a_published_cell_learns_from_cifar_images(tmp_path: Path, real_data: Path) -> None:
    command = ["experiment=cifar10_small_retrain", f"data.path={real_data}"]
    assert accuracy(tmp_path, *command, "train.layers=3", "train.init_channels=4", "train.epochs=3") > 0.25


@pytest.mark.real_data("imagenette-mini")
def test_a_published_cell_learns_from_photos_and_scores_the_same_again(tmp_path: Path, real_data: Path) -> None:
    command = [
        "experiment=imagenette_retrain",
        f"data.path={real_data}",
        "data.size=64",
        "data.resize=72",
    ]
    small = ["train.layers=3", "train.init_channels=12", "train.epochs=6"]
    trained = accuracy(tmp_path / "run", *command, *small)
    assert trained > 0.17  # chance is 0.10, with a standard deviation of 0.015 on 400 photos
    assert accuracy(tmp_path / "test", "task=test", f"run={tmp_path / 'run'}") == trained
