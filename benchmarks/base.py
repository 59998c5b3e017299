"""The same step at another commit, in a second process that works when it is asked to.

`python -m benchmarks.base WORKLOAD DEVICE CLOCK THREADS`, run in a folder that holds the other commit's
library and today's `benchmarks`, reads one order per line and answers with the seconds of that step.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.timing import Clock, Timed

ROOT = Path(__file__).parents[1]


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A folder with the library of `revision` and today's benchmarks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = subprocess.run(
            ["git", "archive", revision, "darts_pl", "conf"], cwd=ROOT, check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", name], input=archive, check=True)
        shutil.copytree(ROOT / "benchmarks", folder / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
        yield folder


@contextmanager
def worker(folder: Path, workload: str, device: str, clock: str, threads: int) -> Iterator[dict[str, Timed]]:
    """By order ("step" for a training) what asks the other process for one step."""
    command = [sys.executable, "-m", "benchmarks.base", workload, device, clock, str(threads)]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask(order: str) -> float:
            stdin.write(f"{order}\n")
            stdin.flush()
            answer = stdout.readline()
            if not answer:
                raise RuntimeError(f"the process of the other commit ended; run in {folder}: {' '.join(command)}")
            return float(answer)

        yield {order: (lambda order=order: ask(order)) for order in ("first", "second", "step")}
        stdin.close()


def main() -> None:
    workload, device, clock, threads = sys.argv[1:]
    import torch

    from benchmarks.workloads import WORKLOADS

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    ours = WORKLOADS[workload](device, both=False).ours
    measure = Clock(device, clock)
    for line in sys.stdin:
        order = line.strip()
        print(measure(ours.step if order == "step" else lambda order=order: ours.step(order)), flush=True)


if __name__ == "__main__":
    main()
