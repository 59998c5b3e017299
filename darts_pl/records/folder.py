"""The folder of one run and the files in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darts_pl import atomic
from darts_pl.genotype import Genotype, read
from darts_pl.records.checkpoint_file import previous

#: The content of a summary: a flat mapping from names to numbers and strings.
Summary = dict[str, float | int | str | bool | None]


@dataclass(frozen=True)
class RunFolder:
    """Paths inside a run's folder, and atomic writes of its files.

    Args:
        path: the folder; it is made when something is written.
    """

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the last epoch."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def previous_checkpoint(self) -> Path:
        """The checkpoint before it, kept as a fallback in case the newest one is damaged."""
        return previous(self.checkpoint)

    @property
    def taken_checkpoint(self) -> Path:
        """The checkpoint of the earlier epoch whose genotype a search took; only where an observer ended it early."""
        return self.checkpoint.with_name("taken.ckpt")

    @property
    def metrics(self) -> Path:
        """One row per epoch."""
        return self.path / "metrics.csv"

    @property
    def genotype(self) -> Path:
        """The genotype that the search derived."""
        return self.path / "genotype.json"

    def sub(self, name: str) -> RunFolder:
        """The folder of a run inside this one."""
        return RunFolder(self.path / name)

    def write_genotype(self, genotype: Genotype) -> None:
        """Write `genotype.json`."""
        atomic.write(self.genotype, genotype.to_json())

    def write_summary(self, summary: Mapping[str, float | int | str | bool | None]) -> None:
        """Write `summary.json`; numbers that are not finite, which JSON does not have, become null."""
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in summary.items()
        }
        atomic.write(self.path / "summary.json", json.dumps(finite, indent=2, allow_nan=False) + "\n")


def read_genotype(path: Path) -> Genotype:
    """The genotype in a file, or in the folder of a finished search; see `darts_pl.genotype.read`."""
    return read(path)
