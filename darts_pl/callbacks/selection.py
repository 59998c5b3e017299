"""The lines of a selection rule at work."""

from __future__ import annotations

import sys
import time

from darts_pl.callbacks.screen.durations import duration
from darts_pl.callbacks.screen.heartbeat import SILENCE
from darts_pl.selection import Progress

#: Most characters of a decision's name in a line.
LONGEST = 60


class SelectionProgress:
    """A line per decision and at least every minute, with what is left; on a terminal one line that is replaced after
    every evaluation.

    Args:
        title: first word of each line.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._started: float | None = None
        self._at_start = 0
        self._shown = 0
        self._spoken = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Show the progress."""
        now = time.monotonic()
        if self._started is None or progress.evaluations >= self._at_start:
            self._started, self._at_start = now, progress.evaluations + 1
        per_evaluation = (now - self._started) / max(self._at_start - progress.evaluations, 1)
        what = progress.last if len(progress.last) <= LONGEST else f"{progress.last[: LONGEST - 3]}..."
        text = (
            f"{self.title} {progress.decided}/{progress.decisions}  {what}  "
            f"{progress.evaluations} evaluations left, {duration(per_evaluation * progress.evaluations)}"
        )
        last = progress.decided == progress.decisions
        if sys.stdout.isatty():
            print(f"\r\x1b[K{text}", end="\n" if last else "", flush=True)
        elif progress.decided > self._shown or now - self._spoken >= SILENCE:
            print(text, flush=True)
            self._spoken = now
        self._shown = progress.decided
