"""Commands that run as real processes, which tests start at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Runs a pretended task that writes its seed as its checkpoint, waits for the file `go`, and writes a summary. Loads
#: neither torch nor Lightning, so that it starts quickly.
PROGRAM = """
import os, sys, time, types
from pathlib import Path
from hydra.core.hydra_config import HydraConfig
from darts_pl import atomic, cli

def run_task(config, composed):
    folder = Path(HydraConfig.get().runtime.output_dir)
    atomic.write(folder / "checkpoints" / "last.ckpt", str(config.seed))
    Path(f"writing_{os.getpid()}").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    atomic.write(folder / "summary.json", '{"task": "search", "seed": %d}' % config.seed)

tasks, runs = types.ModuleType("darts_pl.tasks"), types.ModuleType("darts_pl.runs")
tasks.run_task, runs.is_rank_zero = run_task, lambda: True
cli.parse_config = lambda config: config  # the sections are registered by what is not loaded here
sys.modules |= {"darts_pl.tasks": tasks, "darts_pl.runs": runs}
Path(f"ready_{os.getpid()}").touch()
while not Path("start").exists():
    time.sleep(0.001)
sys.exit(cli.main(sys.argv[1:]))
"""


def start(where: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command in the folder `where`. It begins when the file `start` is there, and ends with the file `go`."""
    variables = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=where, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def begin(where: Path, *processes: subprocess.Popen[str]) -> None:
    """Let all commands begin in the same moment, and wait until each has written its first file or ended."""
    wait_for(lambda: all((where / f"ready_{process.pid}").exists() for process in processes))
    (where / "start").touch()
    wait_for(
        lambda: all((where / f"writing_{process.pid}").exists() or process.poll() is not None for process in processes)
    )


def finish(where: Path, *processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """Let all commands end; returns the exit status and the errors of each."""
    (where / "go").touch()
    ended = [process.communicate(timeout=120)[1] for process in processes]
    return [(process.returncode, error) for process, error in zip(processes, ended, strict=True)]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
