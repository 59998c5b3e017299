"""Calls that may be slow or raise, made in order on a separate thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

#: Maximum number of waiting calls; further ones are dropped.
LONGEST_QUEUE = 1000


class Calls:
    """A thread that makes calls in the given order. The caller does not wait for them.

    The thread is a daemon: a call that never returns does not keep the program alive.

    Args:
        name: of the thread.
        failed: receives, on the thread, what a call raised.
        full: called, on the caller's thread, when a call is dropped because too many are waiting.
    """

    def __init__(self, name: str, failed: Callable[[BaseException], None], full: Callable[[], None]) -> None:
        self._failed, self._full = failed, full
        self._queue: queue.Queue[Callable[[], object]] = queue.Queue(LONGEST_QUEUE)
        self._finished = False
        threading.Thread(target=self._make, name=name, daemon=True).start()

    def put(self, call: Callable[[], object]) -> None:
        """Add `call` to the queue."""
        try:
            self._queue.put_nowait(call)
        except queue.Full:
            self._full()

    def finish(self, last: Callable[[], object], seconds: float) -> bool:
        """Make `last` after all other calls, then end the thread; False if it has not returned in time."""
        done = threading.Event()

        def final() -> None:
            try:
                last()
            finally:
                self._finished = True
                done.set()

        try:
            self._queue.put(final, timeout=seconds)
        except queue.Full:
            return False
        return done.wait(seconds)

    def _make(self) -> None:
        while not self._finished:
            call = self._queue.get()
            try:
                call()
            except BaseException as error:  # also SystemExit, which would end the thread
                self._failed(error)
