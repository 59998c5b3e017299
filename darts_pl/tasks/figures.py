"""task=figures: the plots of a run, and its cells, as files for a paper."""

from __future__ import annotations

import time
from pathlib import Path

from darts_pl.errors import UserError
from darts_pl.records.folder import Summary
from darts_pl.report.page import build_sections
from darts_pl.report.page.vector_figures import FORMATS, save_figures
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.reporting import report_of
from darts_pl.tasks.report import read_run


def figures(context: Context) -> Summary:
    """Write every plot and cell of the report of `run=FOLDER` into the folder of this command, each one column wide;
    returns their number.

    Raises:
        UserError: if the folder holds no run, or the format is none of figures.
    """
    started, config = time.monotonic(), context.config
    if config.run is None:
        raise UserError("run is missing; give run=FOLDER of a run")
    if config.format not in FORMATS:
        raise UserError(f"format={config.format} with task=figures: use format={'|'.join(FORMATS)}")
    sections = build_sections(report_of(read_run(Path(config.run), "run")))
    written = save_figures(sections, context.folder.path / "figures", config.format)
    for path in written:
        print(path.name)
    summary: Summary = {
        "task": "figures",
        "run": str(config.run),
        "format": config.format,
        "figures": len(written),
        "seconds": round(time.monotonic() - started, 3),
    }
    context.folder.write_summary(summary)
    return summary
