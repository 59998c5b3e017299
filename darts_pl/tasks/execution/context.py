"""What every task is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from darts_pl.config import Config
from darts_pl.records import RunFolder


@dataclass(frozen=True)
class Context:
    """A task's configuration and where it writes.

    Args:
        config: typed and validated.
        resolved: the same as plain values, for loggers.
        folder: of the run.
    """

    config: Config
    resolved: Mapping[str, Any]
    folder: RunFolder

    def for_subfolder(self, name: str) -> Context:
        """The same with a subfolder of the run's folder."""
        return Context(self.config, self.resolved, self.folder.sub(name))
