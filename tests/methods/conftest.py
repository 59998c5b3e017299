"""Small searches in process that are killed where a test wants it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from darts_pl.callbacks import LastCheckpoint
from darts_pl.cli import main
from tests.forked import run_on_ranks
from tests.tiny_sweep import write_images

ROOT = Path(__file__).parents[2]

#: Four batches per epoch of the images that `images` wrote.
SMALL = ("data=npz", "preset=none", "search.layers=3", "search.nodes=2", "search.batch_size=10", "search.alphas.lr=0.1")
IMAGES: list[Path] = []


@pytest.fixture(scope="session", autouse=True)
def images(tmp_path_factory: pytest.TempPathFactory) -> None:
    IMAGES.append(write_images(tmp_path_factory.mktemp("images") / "images.npz", train=80))


class Killed(BaseException):
    """Nothing of ours handles it, as nothing handles a kill."""


def search(folder: Path, *arguments: str) -> int:
    """Run a small search."""
    options = [one for one in arguments if one.startswith("--")]  # must come first
    overrides = [one for one in arguments if not one.startswith("--")]
    return main([*options, *SMALL, f"data.path={IMAGES[-1]}", *overrides, f"hydra.run.dir={folder}"])


def killed_search(folder: Path, epoch: int, batch: int | None, *arguments: str) -> None:
    """Run a small search that is killed behind the checkpoint after `batch` of `epoch`; None = of the epoch's end."""
    end, within = LastCheckpoint.on_train_epoch_end, LastCheckpoint.on_train_batch_end

    def at_end(self: LastCheckpoint, trainer: Any, module: Any) -> None:
        end(self, trainer, module)
        if batch is None and trainer.current_epoch == epoch:
            raise Killed

    def after_batch(self: LastCheckpoint, trainer: Any, module: Any, outputs: Any, data: Any, number: int) -> None:
        within(self, trainer, module, outputs, data, number)
        if (trainer.current_epoch, number) == (epoch, batch):
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_epoch_end", at_end)
        patch.setattr(LastCheckpoint, "on_train_batch_end", after_batch)
        with pytest.raises(Killed):
            search(folder, *arguments)


def run_in_two_processes(folder: Path, *arguments: str, forked: bool = True, **variables: str) -> int:
    """Run a search of three layers as a command of two processes; returns its exit status.

    Args:
        folder: of the run; the log goes to it with the ending .log.
        arguments: of the command.
        forked: whether the processes are forked (`tests.forked`); else `run.py` starts them.
        variables: of the environment. With DIE_AFTER=N the processes end behind the checkpoint of epoch N
            (tests.methods.dying, which `arguments` must import).
    """
    command = [*arguments, "hardware=ddp_cpu", "data=digits", "search.layers=3", "search.batch_size=120"]
    command += ["search.nodes=2", f"hydra.run.dir={folder}"]
    if forked:
        return run_on_ranks(2, command, folder.with_suffix(".log"), **variables)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | variables
    with folder.with_suffix(".log").open("a") as log:
        command = [sys.executable, str(ROOT / "run.py"), *command]
        return subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=300, check=False).returncode


def left_by(folder: Path) -> dict[str, Any]:
    """Everything that a run left which is a number or a genotype, but for times."""
    with np.load(folder / "alphas.npz") as alphas:
        found: dict[str, Any] = {f"alphas.npz {name}": values.tobytes() for name, values in alphas.items()}
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    for name, value in checkpoint["state_dict"].items():
        found[f"state {name}"] = value.numpy().tobytes()
    for number, state in enumerate(checkpoint["optimizer_states"]):
        for index, values in state["state"].items():
            for name, value in values.items():
                found[f"optimizer {number} {index} {name}"] = (
                    value.numpy().tobytes() if torch.is_tensor(value) else value
                )
        for index, group in enumerate(state["param_groups"]):
            found[f"optimizer {number} group {index} lr"] = group["lr"]
    with (folder / "metrics.csv").open(newline="") as file:
        found["metrics"] = [
            {name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)
        ]
    found["genotypes"] = (folder / "genotypes.jsonl").read_text()
    found["genotype"] = (folder / "genotype.json").read_text()
    summary = json.loads((folder / "summary.json").read_text())
    found["summary"] = {name: value for name, value in summary.items() if name != "seconds"}
    return found


@pytest.fixture
def assert_same_run() -> Callable[[Path, Path], None]:
    """Asserts that two folders hold the same run, bit by bit."""

    def check(one: Path, other: Path) -> None:
        first, second = left_by(one), left_by(other)
        assert first.keys() == second.keys()
        assert [name for name in first if first[name] != second[name]] == []

    return check
