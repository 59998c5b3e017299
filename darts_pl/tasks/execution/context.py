"""What every task is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
        said: label -> text of what the parts of the command have announced so far; shared by all of them.
        group: name of what this run is a part of, for loggers; None = they find it out.
    """

    config: Config
    resolved: Mapping[str, Any]
    folder: RunFolder
    said: dict[str, str] = field(default_factory=dict)
    group: str | None = None

    def for_subfolder(self, name: str) -> Context:
        """The same with a subfolder of the run's folder."""
        return replace(self, folder=self.folder.sub(name))
