"""Calls that somebody else may make slow or raise in: made one after the other on a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

#: Calls that may wait before further ones are left out.
LONGEST_QUEUE = 1000


class Calls:
    """A thread that makes calls in the order they are given. Whoever gives one does not wait for it.

    The thread is a daemon: a call that never returns does not keep the program alive.

    Args:
        name: of the thread.
        failed: told, on the thread, what a call raised.
        full: told, on the caller's thread, that a call was left out because too many wait.
    """

    def __init__(self, name: str, failed: Callable[[BaseException], None], full: Callable[[], None]) -> None:
        self._failed, self._full = failed, full
        self._queue: queue.Queue[Callable[[], object]] = queue.Queue(LONGEST_QUEUE)
        self._finished = False
        threading.Thread(target=self._make, name=name, daemon=True).start()

    def put(self, call: Callable[[], object]) -> None:
        """Have `call` made after those before it."""
        try:
            self._queue.put_nowait(call)
        except queue.Full:
            self._full()

    def finish(self, last: Callable[[], object], seconds: float) -> bool:
        """Have `last` made after all others, and the thread ended; False if it has not returned in time."""
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
            except BaseException as error:  # also a SystemExit, which would end the thread
                self._failed(error)
