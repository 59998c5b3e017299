"""What task=predict writes and prints, passes over, and refuses in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import darts_pl
from darts_pl.cli import main
from tests.inference.answers import answers_of, summary_in
from tests.tasks.conftest import finished

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a task=predict that must end with status 2 and one line; returns the line."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main(["task=predict", *arguments, f"hydra.run.dir={tmp_path / 'refused'}"]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert lines[-1].startswith("error: ")
        return lines[-1]

    return run


def test_a_damaged_photo_is_named_and_passed_over(
    photo_run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(photos / "val" / "dog", tmp_path / "new" / "holidays 2024")
    whole = (photos / "val" / "dog" / "0.jpg").read_bytes()
    (tmp_path / "new" / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "new" / "notes.txt").write_text("no photo")
    rows = answers_of(photo_run, tmp_path / "new", tmp_path / "out", "task.top=2")
    names = sorted(f"holidays 2024/{path.name}" for path in (photos / "val" / "dog").iterdir())
    assert [row["input"] for row in rows] == names
    assert list(rows[0]) == ["input", "class", "probability", "class_2", "probability_2"]
    shown = capsys.readouterr()
    assert f"passed over: {tmp_path / 'new' / 'broken.jpg'}: not a readable photo" in shown.err
    assert "predictions.csv" in shown.out
    summary = summary_in(tmp_path / "out")
    assert (summary["images"], summary["passed_over"]) == (4, 1)


def test_one_photo_is_answered_on_screen_with_names_and_probabilities(
    photo_run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = photos / "val" / "Bär" / "0.jpg"
    capsys.readouterr()
    answers_of(photo_run, photo, tmp_path / "out")
    shown = capsys.readouterr().out.splitlines()
    found = darts_pl.load(photo_run).predict(photo)
    assert shown[shown.index("0.jpg") + 1 :][:3] == [f"  {value:.4f}  {name}" for name, value in found.top()]


def test_classes_without_names_are_numbers_and_the_reason_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(24) % 2
    images = (draw.integers(0, 99, (24, 8, 8)) + 150 * labels[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "own.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    command = ["task=retrain", "genotype=darts_v1", "data=npz", f"data.path={tmp_path / 'own.npz'}", "train.layers=1"]
    command += ["train.init_channels=2", "train.batch_size=8", "train.auxiliary_weight=0", "train.cutout=0"]
    run = finished(tmp_path / "run", *command, "debug=true")
    rows = answers_of(run, tmp_path / "own.npz", tmp_path / "out")
    assert {row["class"] for row in rows} <= {"0", "1"}
    assert f"classes are numbers: {tmp_path / 'own.npz'} has no class_names" in capsys.readouterr().out
    assert darts_pl.load(run).class_names is None


def test_a_photo_of_another_size_is_brought_to_that_of_a_network_for_arrays(digits: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 24), (200, 200, 200)).save(tmp_path / "grey.png")
    (row,) = answers_of(digits, tmp_path / "grey.png", tmp_path / "out")
    expected = darts_pl.load(digits).predict(np.full((8, 8), 200, np.uint8))
    assert float(row["probability"]) == pytest.approx(expected.probability, abs=1e-6)
    assert row["class"] == expected.name


def test_what_cannot_be_read_is_refused_in_one_line(
    digits: Path, photo_run: Path, text_run: Path, photos: Path, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    np.savez(tmp_path / "wide.npz", images=np.zeros((2, 9, 8), np.uint8))
    np.savez(tmp_path / "colour.npz", images=np.zeros((2, 8, 8, 3), np.uint8))
    np.savez(tmp_path / "normal.npz", images=np.full((2, 8, 8), -1.5))
    np.savez(tmp_path / "two.npz", a=np.zeros(2), b=np.zeros(2))
    (tmp_path / "empty.txt").write_text("\n")
    for run, given, message in (
        (digits, tmp_path / "nowhere.jpg", "there is no such file or folder"),
        (photo_run, tmp_path / "empty", "holds no photo; photos end in .jpg"),
        (photo_run, tmp_path / "broken.jpg", "not a readable photo"),
        (digits, tmp_path / "wide.npz", "images of 9x8 pixels with 1 channel; this network reads 8x8 pixels"),
        (digits, tmp_path / "colour.npz", "images of 8x8 pixels with 3 channels; this network reads"),
        (digits, tmp_path / "normal.npz", "floats from -1.5 to -1.5; give uint8"),
        (digits, tmp_path / "two.npz", "holds a, b; name the array of images 'images'"),
        (text_run, tmp_path / "empty", "is a folder; this network is a language model"),
        (text_run, tmp_path / "empty.txt", "the file is empty"),
    ):
        assert message in refused(f"run={run}", f"input={given}")
    assert "input is missing" in refused(f"run={digits}")
    assert "not the folder of a finished training" in refused(f"run={tmp_path / 'empty'}", f"input={photos}")
    assert "run is missing" in refused(f"input={photos}")


def test_a_search_whose_network_was_never_trained_is_refused_with_the_command_that_trains_it(
    tmp_path: Path, photos: Path, refused: Refused
) -> None:
    search = ["task=search", "data=digits", "order=first", "search.layers=3", "search.init_channels=2", "debug=true"]
    run = finished(tmp_path / "search", *search, "search.nodes=1", "search.batch_size=8")
    assert f"train it with task=retrain genotype={run}" in refused(f"run={run}", f"input={photos}")
