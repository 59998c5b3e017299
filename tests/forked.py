"""Commands in processes of their own that are forked from one which has imported everything already.

A command that runs for two seconds needs four more for its imports, and tests that kill and resume a search start it
many times. Python's fork server pays for the imports once in a session. All that it forks has the same seed of string
hashes. Where that could hide a fault, one case with kills and one with ranks run `run.py` itself.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.imported_by_runs"])


def start_command(arguments: Sequence[str], log: Path, **variables: str) -> ForkServerProcess:
    """A command that has begun.

    Args:
        arguments: of the command.
        log: file to which its standard output and errors are appended.
        variables: of its environment, beside those that this process has now.

    Returns:
        The process; its `exitcode` is None while it runs, and negative where a signal ended it. Where a test fails,
        `kill_what_runs` ends it, for which Python would wait at its own end.
    """
    process = _CONTEXT.Process(target=_run, args=(arguments, log, {**os.environ, "OMP_NUM_THREADS": "1", **variables}))
    process.start()
    return process


def kill_what_runs() -> None:
    """End the commands that have not ended."""
    for process in multiprocessing.active_children():
        process.kill()
        process.join()


def run_on_ranks(number: int, arguments: Sequence[str], log: Path, timeout: float = 300, **variables: str) -> int:
    """Run one command in several processes, as torchrun starts them: all end when one of them fails.

    Args:
        number: of processes.
        arguments: of the command, the same for all.
        log: file to which standard output and errors of all are appended.
        timeout: seconds after which the processes are killed.
        variables: of their environment, beside those that this process has now.

    Returns:
        The exit status: 0, or that of the first process that failed (negative for a signal).

    Raises:
        TimeoutError: if a process has not ended in time.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    common = {
        "TORCHELASTIC_RUN_ID": "tests", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port),
        "WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number), "GROUP_RANK": "0", **variables,
    }  # fmt: skip
    deadline = time.monotonic() + timeout
    running: list[ForkServerProcess] = []
    try:
        for rank in map(str, range(number)):
            running.append(start_command(arguments, log, **common, RANK=rank, LOCAL_RANK=rank))
        while running:
            ended = wait([process.sentinel for process in running], max(0, deadline - time.monotonic()))
            if not ended:
                raise TimeoutError(f"the command has not ended after {timeout} s; its output is in {log}")
            for process in [process for process in running if process.sentinel in ended]:
                process.join()
                running.remove(process)
                if process.exitcode != 0:
                    assert process.exitcode is not None
                    return process.exitcode
    finally:
        kill_what_runs()
    return 0


def _run(arguments: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
    """Run the command line in this process, with its output in a file."""
    from darts_pl.cli import main

    assert "tests.imported_by_runs" in sys.modules  # the fork server ignores a module that it cannot import
    os.environ.clear()
    os.environ.update(variables)
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["run.py", *arguments]
    sys.exit(main())
