"""Ctrl-C and SIGTERM: at once where nothing is lost, at the next safe moment where there is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

#: What ends a run early: Ctrl-C, and what schedulers and `kill` send.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived. Not a KeyboardInterrupt: Lightning turns that into exit status 1.

    Args:
        number: of the signal.
        saved: the checkpoint that was written because of it.
    """

    def __init__(self, number: int, saved: Path | None = None) -> None:
        super().__init__(number)
        self.number = number
        self.saved = saved
        #: the newest checkpoint there is, where none was written now
        self.last: Path | None = None
        #: what to add to the command to go on
        self.remedy = "resume=true"

    @property
    def exit_status(self) -> int:
        """As a shell counts them: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


def interrupt(number: int, frame: FrameType | None = None) -> None:
    """The signal handler that stops at once."""
    raise Interrupted(number)


@contextmanager
def handling_signals(handler: Callable[[int, FrameType | None], Any] = interrupt) -> Iterator[None]:
    """Within it `handler` answers the signals; outside the main thread, where Python forbids it, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
