"""The folder of one run and the files in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darts_pl import atomic
from darts_pl.callbacks import previous
from darts_pl.genotype import Genotype, read

#: What a summary holds: flat, names to numbers and strings.
Summary = dict[str, float | int | str | bool | None]


@dataclass(frozen=True)
class RunFolder:
    """Paths inside a run's folder, and atomic writes of its files.

    Args:
        path: the folder; made when something is written.
    """

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the last epoch."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def previous_checkpoint(self) -> Path:
        """The one before it, kept until the next is whole."""
        return previous(self.checkpoint)

    @property
    def metrics(self) -> Path:
        """One row an epoch."""
        return self.path / "metrics.csv"

    @property
    def genotype(self) -> Path:
        """What the search derived."""
        return self.path / "genotype.json"

    def sub(self, name: str) -> RunFolder:
        """The folder of a run inside this one."""
        return RunFolder(self.path / name)

    def write_genotype(self, genotype: Genotype) -> None:
        """Write `genotype.json`."""
        atomic.write(self.genotype, genotype.to_json())

    def write_summary(self, summary: Mapping[str, float | int | str | bool | None]) -> None:
        """Write `summary.json`; a number that is not finite, which JSON does not know, becomes null."""
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in summary.items()
        }
        atomic.write(self.path / "summary.json", json.dumps(finite, indent=2, allow_nan=False) + "\n")


def read_genotype(path: Path) -> Genotype:
    """The genotype in a file, or in the folder of a finished search; see `darts_pl.genotype.read`."""
    return read(path)
