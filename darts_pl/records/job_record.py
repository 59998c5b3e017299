"""The record that one job of a sweep leaves in its folder: `job.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from darts_pl import atomic
from darts_pl.config import as_it_began, upgrade_stored
from darts_pl.config.upgrade import flatten

RUNNING, FINISHED, FAILED = "running", "finished", "failed"

#: Settings that do not change the result of a job.
IGNORED_SETTINGS = ("resume", "overwrite", "logger")


@dataclass(frozen=True)
class JobRecord:
    """One job of a sweep, and how it ended.

    Args:
        number: of the job in its sweep.
        overrides: as on the command line, but for those that every repetition may change.
        state: RUNNING (also where it was killed), FINISHED or FAILED.
        settings: the resolved configuration.
        objective: what a finished job returned to the sweep.
        reason: of a failure, in one to three lines.
        fixable: whether the user can fix the cause of the failure.
        details: the traceback of a failure.
    """

    number: int
    overrides: list[str]
    state: str = RUNNING
    settings: Mapping[str, Any] = field(default_factory=dict)
    objective: float | None = None
    reason: str | None = None
    fixable: bool = False
    details: str | None = None

    def write(self, folder: Path) -> None:
        """Write `job.json`."""
        atomic.write(folder / "job.json", json.dumps(asdict(self), indent=2) + "\n")

    def same_job(self, settings: Mapping[str, Any]) -> bool:
        """Whether a job with these settings would have the same result."""
        now, stored = _without_ignored(settings), _without_ignored(self.settings)
        return upgrade_stored(stored, now) == now | as_it_began(stored, now)


def read_record(folder: Path) -> JobRecord | None:
    """The record in a job's folder; None if there is none that can be read."""
    try:
        found = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        found.setdefault("fixable", found.get("mendable"))  # its name in the first versions
        return JobRecord(**{part.name: found[part.name] for part in fields(JobRecord)})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def read_summary(folder: Path) -> dict[str, Any] | None:
    """The summary of a finished run; None if there is none, or it is incomplete."""
    try:
        found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "task" in found else None


def _without_ignored(settings: Mapping[str, Any]) -> Any:
    """What decides a result, by dotted key, as it is read from JSON."""
    return json.loads(
        json.dumps(flatten({name: value for name, value in settings.items() if name not in IGNORED_SETTINGS}))
    )
