"""The processes that Lightning starts on this machine for the other ranks of a run."""

from __future__ import annotations

import subprocess
import threading
import time

import pytorch_lightning as pl

#: Seconds that a process gets to end on its own. A process that waits in a collective operation cannot.
PATIENCE = 3.0

#: The processes of the first Trainer serve the later ones too.
_children: list[subprocess.Popen[bytes]] = []


def remember_children(trainer: pl.Trainer) -> None:
    """Remember the processes that `trainer` started."""
    _children.extend(process for process in getattr(trainer.strategy.launcher, "procs", []) if process not in _children)


def end_children() -> None:
    """After an error, end all processes that this one started: they would wait for it forever."""
    _dismiss_observer()
    running = [process for process in _children if process.poll() is None]
    for process in running:
        process.terminate()
    latest = time.monotonic() + PATIENCE
    for process in running:
        try:
            process.wait(max(latest - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
    _children.clear()


def _dismiss_observer() -> None:
    """Stop Lightning's thread that kills this process within five seconds after another one ended. This process
    ends on its own, with its own exit status, and may still have loggers to close."""
    for thread in threading.enumerate():
        if thread.name == "child-process-observer":
            vars(thread)["_child_processes"] = []  # it has no switch, and ends without processes
