"""task=report: the page of a run again, or a page that compares runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records.contents import holds_run
from darts_pl.records.folder import Summary
from darts_pl.report.page import RunFiles, read_run_files
from darts_pl.run_folder import shown
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.reporting import FILE, comparison_page, report_page


def report(context: Context) -> Summary:
    """Write `report.html`: of `run=FOLDER` into that folder, also where the run failed; of `runs=[A,B,...]` into the
    folder of this command, with the runs beside each other. Returns where it is.

    Raises:
        UserError: if the command names neither or both, or a folder holds no run.
    """
    started, config = time.monotonic(), context.config
    if (config.run is None) == (config.runs is None):
        raise UserError("give run=FOLDER for the report of a run, or runs=[A,B,...] for a comparison")
    if config.run is not None:
        folder = Path(config.run)
        page, target, count = report_page(read_run(folder, "run")), folder / FILE, 1
    else:
        named = [config.runs] if isinstance(config.runs, str) else list(config.runs)
        folders = [found for one in named for found in _inside(Path(one))]
        runs = [read_run(one, "runs") for one in folders]
        page, target, count = comparison_page(list(zip(names_of(folders), runs, strict=True))), None, len(runs)
    try:
        atomic.write(target or context.folder.path / FILE, page)
    except OSError as error:
        raise UserError(f"{target}: {error.strerror}; the report cannot be written there") from None
    summary: Summary = {
        "task": "report",
        "report": shown(target or context.folder.path / FILE),
        "runs": count,
        "bytes": len(page.encode()),
        "seconds": round(time.monotonic() - started, 3),
    }
    context.folder.write_summary(summary)
    return summary


def read_run(folder: Path, key: str) -> RunFiles:
    """The files of the run in a folder.

    Args:
        folder: of the run.
        key: of the configuration that names it, for messages.

    Raises:
        UserError: if there is none.
    """
    if not folder.is_dir():
        raise UserError(f"{key}={folder}: there is no such folder")
    if not holds_run(folder):
        raise UserError(f"{key}={folder}: no run has written anything there")
    return read_run_files(folder)


def names_of(folders: Sequence[Path]) -> list[str]:
    """Short names of folders: what they do not share at the beginning."""
    parts = [folder.resolve().parts for folder in folders]
    shared = 0
    while all(len(one) > shared + 1 for one in parts) and len({one[shared] for one in parts}) == 1:
        shared += 1
    return ["/".join(one[shared:]) for one in parts]


def _inside(folder: Path) -> list[Path]:
    """The folder itself where it holds a run, else the folders of runs directly inside, such as the jobs of a sweep."""
    if not folder.is_dir() or holds_run(folder):
        return [folder]
    return sorted(path for path in folder.iterdir() if path.is_dir() and holds_run(path)) or [folder]
