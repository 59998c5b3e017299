"""Ctrl-C and SIGTERM: immediate where nothing is lost, otherwise at the next safe moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

#: The signals that end a run early: Ctrl-C, and the one that schedulers and `kill` send.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived. It is no KeyboardInterrupt, which Lightning turns into exit status 1.

    Args:
        number: number of the signal.
        saved: the checkpoint that was written because of it.
    """

    def __init__(self, number: int, saved: Path | None = None) -> None:
        super().__init__(number)
        self.number = number
        self.saved = saved
        #: the newest checkpoint, if none was written because of the signal
        self.last: Path | None = None
        #: the decisions that a selection rule has recorded, if it was at work
        self.decisions: Path | None = None
        #: what to add to the command to continue the run
        self.remedy = "resume=true"

    @property
    def exit_status(self) -> int:
        """The exit status by the convention of shells: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


def interrupt(number: int, frame: FrameType | None = None) -> None:
    """A signal handler that stops immediately."""
    raise Interrupted(number)


@contextmanager
def handling_signals(handler: Callable[[int, FrameType | None], Any] = interrupt) -> Iterator[None]:
    """Let `handler` handle the signals within the block. In other threads, where Python forbids it, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
