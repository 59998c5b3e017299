"""What lies in a run's folder, as plain values. A file that is missing or damaged is passed over."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype, parse
from darts_pl.records import read_configuration, read_record, read_summary, read_yaml
from darts_pl.records.configuration import CHOICES, OVERRIDES
from darts_pl.report.page.warning_file import WARNINGS, StoredWarning, read_warnings
from darts_pl.report.protocol_rows import ProtocolRow, rows_from_json

Found = TypeVar("Found")
#: Folders of the parts of a run, in the order in which they are shown.
PARTS = ("search", "retrain", "random")
#: Folders of the stages of a protocol; in each the folders of rows, and in these numbered parts.
STAGES = ("searches", "derived", "choice", "final")


@dataclass(frozen=True)
class RunFiles:
    """The files of one run.

    Args:
        folder: where they lie.
        summary: what a finished run says of itself; empty for any other.
        config: the resolved configuration.
        overrides: what the command line gave.
        choices: by group what was chosen.
        metrics: by column the numbers of all rows, None where a row has none.
        throughput: likewise, of each epoch.
        arrays: the architecture parameters of all epochs, by name.
        genotypes: the preview of every row of `arrays`.
        genotype: what was found.
        selection: the journal of a selection rule.
        history: the answers of a search without gradients.
        ranking, scores, runs: tables as rows of text.
        protocol: the rows of a protocol.
        data: what the data set is.
        record: how the run ended and on what it ran.
        test: arrays that the test of a trained network left.
        warnings: of the run.
        parts: runs inside this one, by the name of their folder.
        unreadable: files that are damaged.
    """

    folder: Path
    summary: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    choices: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    throughput: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    genotypes: Sequence[Genotype] = ()
    genotype: Genotype | None = None
    selection: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    ranking: Sequence[Mapping[str, str]] = ()
    scores: Sequence[Mapping[str, str]] = ()
    runs: Sequence[Mapping[str, str]] = ()
    protocol: Sequence[ProtocolRow] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    test: Mapping[str, np.ndarray] = field(default_factory=dict)
    warnings: Sequence[StoredWarning] = ()
    parts: Mapping[str, RunFiles] = field(default_factory=dict)
    unreadable: Sequence[str] = ()

    @property
    def task(self) -> str:
        """The task that ran, such as "search"."""
        named = self.summary.get("task") or (self.config.get("task") or {}).get("name")
        return str(named or ("search" if self.arrays else "run"))

    @property
    def state(self) -> str:
        """How the run ended: finished, failed, interrupted or unfinished."""
        if self.record.get("state") not in (None, "running", "finished"):
            return str(self.record["state"])
        return "finished" if self.summary else "unfinished"

    @property
    def everything(self) -> Iterable[tuple[str, RunFiles]]:
        """This run, then its parts and theirs, each by its path."""
        yield "", self
        for name, part in self.parts.items():
            for inner, found in part.everything:
                yield f"{name}/{inner}".rstrip("/"), found

    def setting(self, dotted: str, default: Any = None) -> Any:
        """A value of the configuration, such as ``setting("search.epochs")``."""
        found: Any = self.config
        for key in dotted.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        return default if found is None else found


def read_run_files(folder: Path, *, inside: bool = False) -> RunFiles:
    """All that lies in `folder` and in the folders of its parts.

    Args:
        folder: of a run.
        inside: whether it is a part of another run, whose configuration counts.
    """
    unreadable: list[str] = []

    def read(name: str, reader: Callable[[Path], Found], default: Found) -> Found:
        path = folder / name
        if not path.is_file():
            return default
        try:
            return reader(path)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, UserError, EOFError):
            unreadable.append(str(path))
            return default

    hydra: Any = {} if inside else read_yaml(folder / CHOICES) or {}
    overrides: Any = read_yaml(folder / OVERRIDES)
    record = read_record(folder)
    state: Mapping[str, Any] = read("run.json", _mapping, {})
    if record is not None and "state" not in state:
        state = {**state, "state": record.state, "reason": record.reason}
    return RunFiles(
        folder,
        summary=read_summary(folder) or {},
        config=_configuration(folder, inside),
        overrides=[str(one) for one in overrides] if isinstance(overrides, list) else [],
        choices=_choices(hydra),
        metrics=read("metrics.csv", read_columns, {}),
        throughput=read("throughput.csv", read_columns, {}),
        arrays=read("alphas.npz", _arrays, {}),
        genotypes=read("genotypes.jsonl", _genotypes, []),
        genotype=read("genotype.json", _genotype, None),
        selection=read("selection.json", _mapping, {}),
        history=read("history.jsonl", _json_lines, []),
        ranking=read("ranking.csv", _csv_rows, []),
        scores=read("scores.csv", _csv_rows, []),
        runs=read("runs.csv", _csv_rows, []),
        protocol=read("rows.json", lambda path: rows_from_json(path.read_text(encoding="utf-8")), []),
        data=read("data.json", _mapping, {}),
        record=state,
        test=read("test.npz", _arrays, {}),
        warnings=read(WARNINGS, read_warnings, []),
        parts={name: read_run_files(path, inside=True) for name, path in _parts(folder)},
        unreadable=unreadable,
    )


def read_columns(path: Path) -> dict[str, list[float | None]]:
    """The columns of a CSV file of numbers; None for what is no number."""
    rows = _csv_rows(path)
    names = list(rows[0]) if rows else []
    return {name: [_number(row.get(name)) for row in rows] for name in names}


def _parts(folder: Path) -> Iterable[tuple[str, Path]]:
    further = [path.name for path in folder.glob("random_*") if re.fullmatch(r"random_\d+", path.name)]
    for name in (*PARTS, *sorted(further, key=lambda name: int(name.removeprefix("random_")))):
        if (folder / name).is_dir():
            yield name, folder / name
    if (folder / "protocol.json").is_file():
        for stage in STAGES:
            for path in sorted((folder / stage).glob("**/metrics.csv"), key=_naturally):
                if path.parent.name not in PARTS:
                    yield str(path.parent.relative_to(folder)), path.parent


def _naturally(path: Path) -> list[tuple[int, str]]:
    """Numbered folders by number."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in path.parts]


def _configuration(folder: Path, inside: bool) -> Mapping[str, Any]:
    try:
        found = read_configuration(folder)
    except UserError:
        return {}
    if found is None and inside:  # a part of a protocol lies deeper
        for parent in list(folder.parents)[:4]:
            if (parent / ".hydra").is_dir():
                return _configuration(parent, False)
    if found is None and (record := read_record(folder)) is not None:
        return record.settings
    return found or {}


def _choices(hydra: Any) -> Mapping[str, Any]:
    try:
        found = hydra["hydra"]["runtime"]["choices"]
    except (KeyError, TypeError):
        return {}
    return {name: value for name, value in found.items() if not name.startswith("hydra/")}


def _mapping(path: Path) -> Mapping[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("not a mapping")
    return found


def _json_lines(path: Path) -> list[Mapping[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(json.loads(line))
        except ValueError:
            if number < len(lines):  # the last line may be one that was being written
                raise
    return found


def _csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _genotypes(path: Path) -> list[Genotype]:
    return [parse(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _genotype(path: Path) -> Genotype | None:
    return parse(path.read_text(encoding="utf-8"))


def parsed(text: object) -> Genotype | None:
    """A genotype from its text; None where it is none."""
    try:
        return parse(text) if isinstance(text, str) and text else None
    except (UserError, ValueError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None
