"""A logger that can neither stop nor delay a run."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pytorch_lightning.loggers import Logger

from darts_pl.records.folder import Summary
from darts_pl.runs.loggers.calls import Calls
from darts_pl.runs.trainer import is_rank_zero

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """The destination of a guarded logger's records."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Numbers by name, at a batch."""

    def log_image(self, key: str, image: np.ndarray, step: int) -> None:
        """An image [height, width, 3] in uint8."""

    def log_table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """A table, which replaces an earlier one of the same `key`."""

    def log_summary(self, summary: Summary) -> None:
        """The summary of the run."""

    def close(self, exit_code: int) -> None:
        """The last call; exit code 0 = the run succeeded."""


class GuardedLogger(Logger):
    """Passes records to a `Sink` on a separate thread, on rank zero only.

    The first error of the sink is logged and the run continues; a sink that could not be opened receives no records.
    The run waits for the sink only at its end, for at most `timeout` seconds.

    Args:
        title: name in messages.
        open_sink: opens the sink; called on the thread when a fit begins.
        folder: of the run.
        timeout: seconds.
    """

    def __init__(self, title: str, open_sink: Callable[[], Sink], folder: Path, timeout: float) -> None:
        super().__init__()
        self.title = title
        self.timeout = timeout
        self._open_sink = open_sink
        self._folder = folder
        self._sink: Sink | None = None
        self._calls: Calls | None = None
        self._finished = self._told = False

    @property
    def name(self) -> str:
        return self.title

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self._folder)

    @property
    def experiment(self) -> None:
        """Opens the sink: Lightning reads this when a fit begins."""
        self._start()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Numbers by name, at a batch."""
        self._put(lambda sink: sink.log_metrics(dict(metrics), step))

    def log_image(self, key: str, image: np.ndarray, step: int) -> None:
        """An image [height, width, 3] in uint8."""
        self._put(lambda sink: sink.log_image(key, image, step))

    def log_table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """A table, which replaces an earlier one of the same `key`."""
        self._put(lambda sink: sink.log_table(key, columns, rows, step))

    def log_summary(self, summary: Summary) -> None:
        """The summary of the run."""
        self._put(lambda sink: sink.log_summary(summary))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the sink receives the configuration when it is opened."""

    def finish(self, exit_code: int) -> None:
        """Close the sink; exit code 0 = the run succeeded. Waits for the remaining records, up to the timeout."""
        calls, self._calls, self._finished = self._calls, None, True
        if calls is None:
            return

        def close() -> None:
            if self._sink is not None:
                self._sink.close(exit_code)

        if not calls.finish(close, self.timeout):
            self._tell(f"did not finish within {self.timeout:g} s; the run goes on without it")

    def _start(self) -> None:
        if self._calls is None and not self._finished and is_rank_zero():
            self._calls = Calls(self.title, self._failed, self._full)
            self._calls.put(self._open)

    def _open(self) -> None:
        self._sink = self._open_sink()

    def _put(self, call: Callable[[Sink], None]) -> None:
        self._start()
        if self._calls is not None:
            self._calls.put(lambda: None if self._sink is None else call(self._sink))

    def _failed(self, error: BaseException) -> None:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        self._tell(f"{reason:.300}; the run goes on without it")

    def _full(self) -> None:
        self._tell("too slow; it misses some records of this run")

    def _tell(self, message: str) -> None:
        if not self._told:
            self._told = True
            _log.warning("%s: %s", self.title, message)

    def __getstate__(self) -> dict[str, Any]:
        """For processes that Lightning starts by pickling: each opens its own."""
        return self.__dict__ | {"_calls": None, "_sink": None}
