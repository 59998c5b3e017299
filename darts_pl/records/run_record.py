"""How a run ended, and on what it ran: `run.json`, for reports."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from darts_pl import atomic

FILE = "run.json"
INTERRUPTED = "interrupted"
#: Packages whose versions are recorded.
PACKAGES = ("darts-pl", "torch", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy")


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Args:
        state: FINISHED, FAILED or INTERRUPTED.
        reason: of a failure, in one line; "" for a finished run.
        started, ended: local times, as in "2026-01-31 12:00:00".
        device: what computed.
        processes: number of processes.
        versions: by package.
    """

    state: str
    reason: str
    started: str
    ended: str
    device: str
    processes: int
    versions: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `run.json`."""
        atomic.write(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")


def local_time(moment: datetime | None = None) -> str:
    """A moment as people read it; None = now."""
    return (moment or datetime.now()).strftime("%Y-%m-%d %H:%M:%S")


def installed_versions(**others: str) -> dict[str, str]:
    """The versions of Python and of the packages that determine a run's numbers.

    Args:
        others: versions that no package has, such as that of this program in a checkout.
    """
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = others.pop(name.replace("-", "_"), "") or version(name)
        except PackageNotFoundError:
            continue
    return found | others
