"""Commands that start their own processes."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "run.py"


@pytest.fixture
def start():
    """Start `run.py` in a process of its own, which is killed with those it starts if it runs when the test ends."""
    started = []

    def begin(folder, *arguments, **environment):
        command = [sys.executable, str(RUN), *arguments, f"hydra.run.dir={folder}"]
        log = folder.parent / f"{folder.name}.log"
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
        with log.open("wb") as file:
            started.append(
                subprocess.Popen(
                    command, stdout=file, stderr=file, cwd=folder.parent, env=environment, start_new_session=True
                )
            )
        return started[-1], log

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
