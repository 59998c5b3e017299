"""task=collect: one table of many runs."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records.configuration import CONFIG, OVERRIDES, read_yaml
from darts_pl.records.folder import Summary
from darts_pl.records.job_record import FAILED, FINISHED, RUNNING, read_record, read_summary
from darts_pl.report.run_differences import tables_below
from darts_pl.report.run_table import RunRow, differing, in_groups, markdown, run_csv, table_cells
from darts_pl.runs import build_loggers, log_csv, log_summary
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.scores import SCORES, SIZES

UNFINISHED = "unfinished"
#: Differences that are printed; the file has all.
SHOWN = 30


def collect(context: Context) -> Summary:
    """Print the runs in `runs=` with their scores, write them as `runs.csv` and `runs.md`, return the counts.

    Mean and standard deviation (n - 1 in the denominator) are over the finished runs whose overrides are
    the same apart from the seed. Below the table are the paired differences of such groups, and what papers report.

    Raises:
        UserError: if `runs` names no folder, or there is no run in it.
    """
    started = time.monotonic()
    wanted = context.config.runs
    folders = [Path(one) for one in ([wanted] if isinstance(wanted, str) else wanted or [])]
    if not folders:
        raise UserError("runs is missing; give runs=FOLDER, the folder of a sweep or of several runs")
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"runs={folder}: there is no such folder")
    rows = [row for folder in folders for path in _run_folders(folder) if (row := read_run(path)) is not None]
    if not rows:
        raise UserError(f"runs={wanted}: no run is in there")
    scores, sizes = ({name: form for name, _, form in names} for names in (SCORES, SIZES))
    headings, cells = table_cells(rows, scores, sizes)
    ordered = [row for group in in_groups(rows) for row in group]
    below = list(tables_below(rows))
    tables = [f"\n## {one.title}\n\n{one.note}\n\n{markdown(one.headings, one.cells)}" for one in below]
    atomic.write(context.folder.path / "runs.csv", run_csv(rows, list(scores)))
    atomic.write(context.folder.path / "runs.md", _with_genotypes(headings, cells, ordered) + "".join(tables))
    _print(headings, cells, ordered)
    for one in below:
        print(f"\n{one.title}\n{textwrap.fill(one.note, 100)}")
        _print_table(one.headings, one.cells[:SHOWN])
        if len(one.cells) > SHOWN:
            print(f"{len(one.cells) - SHOWN} more are in runs.md")
    summary: Summary = {"task": "collect", "runs": len(rows)}
    for state in (FINISHED, FAILED, UNFINISHED):
        summary[state] = sum(row.state == state for row in rows)
    summary["seconds"] = round(time.monotonic() - started, 3)
    context.folder.write_summary(summary)
    loggers = build_loggers(context.config, context.folder, context.resolved, "collect", folders[0].resolve().name)
    log_csv(loggers, "collect/runs", (context.folder.path / "runs.csv").read_text(encoding="utf-8"))
    log_summary(loggers, summary)
    return summary


def read_run(folder: Path) -> RunRow | None:
    """What the folder of a run says; None where it is that of another `collect`.

    A job that its sweep began again is unfinished until it ends, whatever an earlier one left there.
    """
    record, summary = read_record(folder), read_summary(folder)
    settings = record.settings if record is not None else _settings(folder / CONFIG)
    if settings.get("task", {}).get("name") == "collect":
        return None
    overrides = record.overrides if record is not None else _overrides(folder / OVERRIDES)
    state = record.state if record is not None else FINISHED
    if state == RUNNING or (state == FINISHED and summary is None):
        state = UNFINISHED
    return RunRow(
        name=os.path.relpath(folder) if folder.resolve().is_relative_to(Path.cwd()) else str(folder),
        state=state,
        overrides={key: value for key, _, value in (override.partition("=") for override in overrides)},
        seed=settings.get("seed"),
        summary=(summary or {}) if state == FINISHED else {},
        reason=(record.reason or "") if record is not None and state == FAILED else "",
    )


def _run_folders(parent: Path) -> Iterator[Path]:
    """The folders of runs at and below `parent`, but not those of the parts of a run."""
    if (parent / ".hydra").is_dir() or (parent / "job.json").is_file():
        yield parent
        return
    for child in sorted(parent.iterdir(), key=_naturally):
        if child.is_dir() and not child.name.startswith("."):
            yield from _run_folders(child)


def _naturally(path: Path) -> tuple[int, str]:
    """Folders that start with a number by that number, then all others by name."""
    digits = path.name.partition("+")[0]
    return (int(digits), "") if digits.isdecimal() else (2**63, path.name)


def _settings(file: Path) -> dict[str, Any]:
    found = read_yaml(file)
    return found if isinstance(found, dict) else {}


def _overrides(file: Path) -> list[str]:
    found = read_yaml(file)
    return [str(one) for one in found] if isinstance(found, list) else []


def _with_genotypes(headings: list[str], cells: list[list[str]], rows: list[RunRow]) -> str:
    """The Markdown table, with what the screen has no room for: the genotypes and the folders."""
    by_number = {str(number): row for number, row in enumerate(rows, 1)}
    wide = []
    for line in cells:
        row = by_number.get(line[0])
        genotype = str(row.summary.get("genotype", "")) if row is not None else ""
        name, reason = (row.name, _first(row.reason)) if row is not None else ("", "")
        wide.append([*line, f"`{genotype}`" if genotype else reason, name])
    return _shared(rows) + markdown([*headings, "genotype, or why there is none", "run"], wide)


def _shared(rows: list[RunRow]) -> str:
    """A line with the overrides that all runs have."""
    keys = [key for key in rows[0].overrides if key not in differing(rows) and key not in ("seed", "resume")]
    return f"All: {' '.join(f'{key}={rows[0].overrides[key]}' for key in keys)}\n\n" if keys else ""


def _print(headings: list[str], cells: list[list[str]], rows: list[RunRow]) -> None:
    print(_shared(rows), end="")
    _print_table(headings, cells)
    for number, row in enumerate(rows, 1):
        if row.reason or "genotype" in row.summary:
            print(f"{number}  {row.summary.get('genotype') or _first(row.reason)}")


def _print_table(headings: list[str], cells: list[list[str]]) -> None:
    """A table on screen; an empty first cell ends a section."""
    table = Table(*headings, box=SIMPLE)
    for line in cells:
        table.add_row(*line, end_section=not line[0])
    console = Console()
    console.width = max(console.width, Console(width=10_000).measure(table).maximum)  # a terminal wraps on its own
    console.print(table, markup=False)


def _first(text: str) -> str:
    return text.partition("\n")[0]
