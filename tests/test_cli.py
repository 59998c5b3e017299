"""The command line, in process: exit statuses, messages, and what lies on disk afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darts_pl import cli
from darts_pl.cli import main

ROOT = Path(__file__).parents[1]


def refused(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused; returns its message."""
    status = main([*arguments, f"hydra.run.dir={folder}"])
    error = capsys.readouterr().err
    assert status == 2, error
    assert "Traceback" not in error
    message = error.strip().splitlines()
    assert 1 <= len(message) <= 3, error
    assert message[0].startswith("error: ")
    return error


def npz(folder: Path, **changes: Any) -> Path:
    """A small data set in a file, with some arrays replaced or (None) left out."""
    draw = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "x_train": draw.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(40) % 4,
        "x_test": draw.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8),
        "y_test": np.arange(8) % 4,
    }
    arrays |= changes
    path = folder / "data.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


RETRAIN = ["task=retrain", "data=digits", "genotype=darts_v2"]
PAIRS = [("skip_connect", 0)] * 8
CELLS = f"Genotype(normal={PAIRS}, normal_concat=[2], reduce={PAIRS}, reduce_concat=[2])"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search.layer=3"], ["search.layer", "search.layers"]),
        (["search.candidates=[none,sep_conv_9x9]", "data=digits"], ["sep_conv_9x9", "sep_conv_3x3"]),
        (["search.candidates=[none]", "data=digits"], ["none"]),
        (["data=mnist"], ["mnist", "digits"]),
        (["task=dance"], ["dance", "search"]),
        (["search.layers=0"], ["search.layers=0"]),
        (["search.batch_size=5000", "data=digits"], ["5000", "721"]),
        ([*RETRAIN, "train.cutout=0", "train.batch_size=5000"], ["train.batch_size=5000", "1442"]),
        ([*RETRAIN, "train.cutout=0", "train.batch_size=1"], ["train.batch_size=1", "at least 2", "BatchNorm"]),
        ([*RETRAIN, "train.cutout=0", "data.std=[0.2,0.2,0.2]"], ["data.std=[0.2, 0.2, 0.2]", "1 channel"]),
        ([*RETRAIN, "train.cutout=16"], ["train.cutout=16", "8x8", "train.cutout=4"]),
        (["task=search_and_retrain", "data=digits", "train.cutout=8"], ["train.cutout=8", "8x8"]),
        ([*RETRAIN, "train.warmup_epochs=5", "train.epochs=4"], ["train.warmup_epochs=5", "train.epochs=4"]),
        ([*RETRAIN, "train.stem=imagenet", "train.init_channels=1"], ["train.init_channels=1", "at least 2"]),
        (["task=retrain", "data=digits", f"genotype={CELLS}"], ["node 3 of the normal cell is neither read nor"]),
        (["task=retrain", "data=digits", f'genotype="x{CELLS}"'], ["genotype=xGenotype(", "neither a file"]),
        (["hardware=gpu", "data=digits"], ["gpu", "hardware=cpu"]),
        (["hardware.devices=foo", "data=digits"], ["devices=foo"]),
        (["hardware.strategy=foo", "data=digits"], ["strategy=foo", "ddp"]),
        (["hardware.precision=16", "data=digits"], ["precision=16", "32-true"]),
        (["hardware.precision=bf16-true", "data=digits"], ["bf16-true", "order=first"]),
        (["logger=wandb", "logger.wandb.mode=foo", "data=digits"], ["foo", "offline"]),
        (["logger=[wandb,foo]"], ["foo", "comet, csv, mlflow, tensorboard, wandb"]),
        (["logger.wandb.mode=online"], ["logger=wandb"]),
        (["logger=null"], ["logger=[wandb]"]),
        (["imports=[no_such_module]", "data=digits"], ["no_such_module"]),
        (["relaxation=hardmax", "data=digits"], ["hardmax", "softmax"]),
        (["order=third"], ["third", "second"]),
        (["task=retrain", "data=digits"], ["genotype", "darts_v2"]),
        (["task=retrain", "data=digits", "genotype=darts_v9"], ["darts_v9", "darts_v2"]),
        (["data=npz"], ["data.path"]),
        (["data=npz", "data.path=/no/such.npz"], ["/no/such.npz"]),
        (["data=npz", "data.path=/"], ["folder", ".npz"]),
        (["layers"], ["layers"]),
    ],
)
def test_an_invalid_command_ends_with_status_2_and_says_how_to_fix_it(
    arguments: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(arguments, tmp_path / "run", capsys)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": None}, ["y_train"]),
        ({"x_train": np.zeros((40, 8), np.uint8)}, ["x_train", "(40, 8)"]),
        ({"y_train": np.full(40, -1)}, ["-1"]),
        ({"x_train": np.full((40, 8, 8, 3), np.nan)}, ["NaN"]),
        ({"x_train": np.array([{"an": "object"}] * 40)}, ["x_train"]),
        ({"x_train": np.zeros((40, 4, 4, 3), np.uint8), "x_test": np.zeros((8, 4, 4, 3), np.uint8)}, ["4x4", "8x8"]),
    ],
)
def test_a_malformed_data_file_is_refused(
    changes: dict[str, object], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = npz(tmp_path, **changes)
    message = refused(["data=npz", f"data.path={path}", "search.batch_size=4"], tmp_path / "run", capsys)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json at all", ["JSON"]),
        ('{"normal": [["warp", 0], ["warp", 1]], "normal_concat": [2], "reduce": [["warp", 0], ["warp", 1]], '
         '"reduce_concat": [2]}', ["warp", "imports="]),
        ('{"normal": [["skip_connect", 0], ["skip_connect", 7]], "normal_concat": [2], '
         '"reduce": [["skip_connect", 0], ["skip_connect", 1]], "reduce_concat": [2]}', ["node 7"]),
    ],
)  # fmt: skip
def test_an_impossible_genotype_file_is_refused(
    text: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "genotype.json"
    path.write_text(text)
    message = refused(["task=retrain", "data=digits", f"genotype={path}"], tmp_path / "run", capsys)
    assert all(word in message for word in [*words, str(path)]), message


def test_a_run_folder_below_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("precious")
    message = refused(["data=digits"], tmp_path / "file" / "run", capsys)
    assert "hydra.run.dir" in message
    assert (tmp_path / "file").read_text() == "precious"


def test_the_traceback_is_shown_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert main(["search.layers=0", f"hydra.run.dir={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "search.layers=0" in error


def test_an_error_of_ours_is_status_1_with_its_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(config: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(cli, "parse_config", broken)
    assert main([f"hydra.run.dir={tmp_path}"]) == 1
    assert "ZeroDivisionError: ours" in capsys.readouterr().err


def test_help_shows_the_groups_the_examples_and_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in (
        "experiment=quickstart",
        "order: first, neumann, second, second_exact, unrolled",
        "genotype=",
        "Exit statuses",
    ):
        assert word in text


def test_the_composed_configuration_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cfg", "job", "search.layers=4"]) == 0
    assert "layers: 4" in capsys.readouterr().out


def test_a_search_leaves_what_it_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = npz(tmp_path)
    arguments = ["data=npz", f"data.path={path}", "search.layers=3", "search.init_channels=2", "search.epochs=2"]
    assert main([*arguments, "order=first", "search.batch_size=10", f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {"task", "seconds", "search/valid_loss", "search/valid_accuracy"} <= set(summary)
    assert all(isinstance(value, (str, int, float)) for value in summary.values())
    with np.load(tmp_path / "run" / "alphas.npz") as alphas:
        assert alphas["normal"].shape == alphas["reduce"].shape == (3, 14, 8)
    assert (tmp_path / "run" / "metrics.csv").read_text().count("\n") == 3
    assert len((tmp_path / "run" / "genotypes.jsonl").read_text().splitlines()) == 3
    for name in ("genotype.json", "cells.png", "cells.svg", "checkpoints/last.ckpt", ".hydra/config.yaml"):
        assert (tmp_path / "run" / name).is_file(), name
    lines = capsys.readouterr().out.strip().splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.startswith("genotype ")]
    assert "Genotype(normal=" in lines[place]
    assert lines[place + 1].endswith("run")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_shells_status(number: int, status: int, tmp_path: Path) -> None:
    command = [sys.executable, "run.py", "data=digits", "order=first", "search.layers=3", "search.init_channels=2"]
    command += ["search.nodes=1", "search.batch_size=240", "search.epochs=99"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, f"hydra.run.dir={tmp_path}"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any(line.startswith("search  1/99") for line in process.stdout)  # after what the run is
        process.send_signal(number)
        assert process.wait(60) == status
