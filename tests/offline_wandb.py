"""Reads back what W&B wrote offline: LevelDB's log format, holding W&B's own protocol messages."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record, RunRecord

#: The log is cut into blocks; a record that crosses their borders is cut too.
BLOCK, FILE_HEADER, PART_HEADER = 32768, 7, 7
FULL, LAST = 1, 4


def records(path: Path) -> Iterator[Record]:
    """All records of a `.wandb` file."""
    data = path.read_bytes()
    assert data.startswith(b":W&B")
    at, message = FILE_HEADER, b""
    while at + PART_HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < PART_HEADER:
            at += left
            continue
        _checksum, size, kind = struct.unpack_from("<IHB", data, at)
        at += PART_HEADER
        message += data[at : at + size]
        at += size
        if kind in (FULL, LAST):
            record = Record()
            record.ParseFromString(message)
            yield record
            message = b""


@dataclass
class OfflineRun:
    """One offline folder: the run's description, one row for each call of `log`, summary and exit code."""

    folder: Path
    run: RunRecord = field(default_factory=RunRecord)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None

    def values(self, name: str) -> dict[int, Any]:
        """What was logged as `name`, by batch."""
        return {row["trainer/global_step"]: row[name] for row in self.history if name in row}

    def file(self, path: str) -> Path:
        """A file that a row names."""
        return self.folder / "files" / path


def offline_runs(folder: Path) -> list[OfflineRun]:
    """The offline runs below a run's folder, oldest first."""
    found = [read(path) for path in folder.rglob("wandb/offline-run-*/*.wandb")]
    return sorted(found, key=lambda run: (run.run.start_time.seconds, run.run.start_time.nanos))


def read(path: Path) -> OfflineRun:
    """One `.wandb` file."""
    result = OfflineRun(path.parent)
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            result.run = record.run
            result.config |= decoded(record.run.config.update)
        elif kind == "config":
            result.config |= decoded(record.config.update)
        elif kind == "history":
            result.history.append(decoded(record.history.item))
        elif kind == "summary":
            result.summary |= decoded(record.summary.update)
        elif kind == "exit":
            result.exit_code = record.exit.exit_code
    return result


def decoded(items: Iterable[Any]) -> dict[str, Any]:
    """Names to values; one inside another is named ``outer.inner``."""
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
