"""Runs that are killed at random moments and continued end as ones that were never stopped, bit by bit."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.forked import kill_what_runs, start_command

pytestmark = pytest.mark.slow

RUN = Path(__file__).parents[2] / "run.py"
IMAGES = ["data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=2", "search.batch_size=40"]
IMAGES += ["search.candidates=[none,skip_connect,max_pool_3x3,sep_conv_3x3]", "search.epochs=3"]
CASES = {
    "second": [*IMAGES, "order=second"],
    "first": [*IMAGES, "order=first"],
    "recurrent": [
        *("search=rnn", "data=text", "data.path={text}", "search.units=8", "search.nodes=2", "search.batch_size=8"),
        *("search.bptt=5", "search.epochs=3", "data.eval_batch_size=4"),
    ],
    "retrain": [
        *("task=retrain", "data=digits", "genotype=darts_v1", "train.layers=3", "train.init_channels=2"),
        *("train.epochs=4", "train.batch_size=80", "train.cutout=0", "train.drop_path=0.5", "train.ema=0.9"),
        "train.accumulate=2",
    ],
}
#: How long a command may take to come as far as its first checkpoint, in seconds.
PATIENCE = 240


class Command:
    """One case in one folder, started as often as wanted."""

    def __init__(self, name: str, folder: Path) -> None:
        text = folder.parent / "text.txt"
        if not text.exists():
            draw = random.Random(0)
            words = [" ".join(draw.choices("abcdefghij", k=9)) for _ in range(300)]
            text.write_text("\n".join(words) + "\n")
        self.folder = folder
        self.arguments = [argument.format(text=text) for argument in CASES[name]]
        self.log = folder.parent / f"{folder.name}.log"

    def start(self, *more: str) -> ForkServerProcess:
        self.log.write_text("")
        return start_command([*self.arguments, *more, f"hydra.run.dir={self.folder}"], self.log)

    def to_the_end(self, *more: str) -> None:
        process = self.start(*more)
        process.join(PATIENCE)
        assert process.exitcode == 0, self.log.read_text()

    def to_the_end_as_a_user(self, *more: str) -> None:
        """Without the fork server, so with another seed of string hashes."""
        command = [sys.executable, str(RUN), *self.arguments, *more, f"hydra.run.dir={self.folder}"]
        done = subprocess.run(
            command,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def state(self) -> tuple[int, int] | None:
        """Something that changes with every checkpoint."""
        try:
            found = (self.folder / "checkpoints" / "last.ckpt").stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino

    def kill_after_progress(self, number: int, delay: float, *more: str) -> None:
        """Start, wait for a new checkpoint and `delay` seconds more, send the signal, wait for the end."""
        before, process, began = self.state(), self.start(*more), time.monotonic()
        while self.state() == before:
            assert process.exitcode is None, self.log.read_text()
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.002)
        time.sleep(delay)
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(60)
        expected = -signal.SIGKILL if number == signal.SIGKILL else 128 + number
        assert process.exitcode == expected, self.log.read_text()
        if number != signal.SIGKILL:
            assert f"hydra.run.dir={self.folder}" in " ".join(self.arguments) or "resume=true" in self.log.read_text()

    def result(self) -> dict[str, Any]:
        """All that must be the same, whatever happened on the way."""
        with (self.folder / "metrics.csv").open() as file:
            rows = [
                {name: value for name, value in row.items() if not name.startswith(("seconds", "performance"))}
                for row in csv.DictReader(file)
            ]
        summary = json.loads((self.folder / "summary.json").read_text())
        checkpoint = torch.load(self.folder / "checkpoints" / "last.ckpt", weights_only=True)
        alphas = self.folder / "alphas.npz"
        return {
            "metrics": rows,
            "summary": {name: value for name, value in summary.items() if "seconds" not in name},
            "tensors": {
                name: value.numpy().tobytes() if torch.is_tensor(value) else value
                for name, value in checkpoint["state_dict"].items()
            },
            "optimizers": [
                [
                    value.numpy().tobytes()
                    for state in optimizer["state"].values()
                    for value in state.values()
                    if isinstance(value, torch.Tensor)
                ]
                for optimizer in checkpoint["optimizer_states"]
            ],
            "alphas": {name: value.tobytes() for name, value in np.load(alphas).items()} if alphas.exists() else {},
            "genotypes": (self.folder / "genotypes.jsonl").read_text() if alphas.exists() else "",
        }


@pytest.fixture(autouse=True)
def _no_command_outlives_its_test() -> Iterator[None]:
    yield
    kill_what_runs()


def assert_same(whole: Command, parts: Command) -> None:
    expected, found = whole.result(), parts.result()
    for part in expected:
        assert found[part] == expected[part], part
    assert expected["metrics"]
    assert expected["tensors"]


@pytest.mark.parametrize(("name", "kills"), [("second", 4), ("first", 2), ("recurrent", 2), ("retrain", 2)])
def test_a_run_killed_or_asked_to_stop_at_random_moments_ends_as_one_never_stopped(
    name: str, kills: int, tmp_path: Path
) -> None:
    whole, parts = Command(name, tmp_path / "whole"), Command(name, tmp_path / "parts")
    whole.to_the_end()
    draw = random.Random(kills)
    signals = [signal.SIGKILL] * kills + [signal.SIGTERM, signal.SIGINT]
    for number in draw.sample(signals, len(signals)):
        parts.kill_after_progress(number, draw.uniform(0, 0.3), "resume=true", "save_every=2")
        assert number == signal.SIGKILL or "saved" in parts.log.read_text()
    parts.to_the_end_as_a_user("resume=true", "save_every=2")
    assert_same(whole, parts)
