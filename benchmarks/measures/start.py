"""How long a user waits for the first step: the processor time of `python run.py experiment=debug` until then."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measures.steps import Machine
from benchmarks.table import LIMITS, Result

ROOT = Path(__file__).parents[2]
RUNS = 3

#: Runs the command and ends the process where the first step would begin.
PROGRAM = """
import os, sys, time
from darts_pl.bilevel.step import SearchStep
def first_step(*arguments):
    print("seconds", time.process_time(), flush=True)
    os._exit(0)
SearchStep.__call__ = first_step
from darts_pl.cli import main
sys.exit(main(["experiment=debug", "hardware=cpu", f"hydra.run.dir={sys.argv[1]}"]))
"""


def seconds() -> float:
    """Of one start, in a folder that is removed again."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(Path(folder) / "run")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "WANDB_MODE": "offline"},
        )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("seconds ")]
    return float(line.split()[1])


def start(machine: Machine) -> Iterator[Result]:
    """The median of a few starts; the first one may read files from the disk."""
    limit = LIMITS["start"]
    if machine.device != "cpu":
        yield Result(limit, left_out="the processor time of a start is measured on the CPU")
        return
    seconds()
    found = statistics.median(seconds() for _ in range(RUNS))
    yield Result(limit, found, found, None, "s")
