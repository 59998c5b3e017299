"""Commands that start their own processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "run.py"


@pytest.fixture
def start():
    """Start `run.py` in a process of its own, which is killed with the test where it has not ended."""
    started = []

    def command(folder, *arguments, **environment):
        command = [sys.executable, str(RUN), *arguments, f"hydra.run.dir={folder}"]
        log = folder.parent / f"{folder.name}.log"
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
        with log.open("wb") as file:
            started.append(subprocess.Popen(command, stdout=file, stderr=file, cwd=folder.parent, env=environment))
        return started[-1], log

    yield command
    for process in started:
        process.kill()
        process.wait()
