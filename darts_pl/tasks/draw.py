"""task=draw: the cells of any genotype."""

from __future__ import annotations

import time
from pathlib import Path

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.records.folder import Summary
from darts_pl.report import save_cells
from darts_pl.report.page import read_run_files
from darts_pl.report.page.architecture import mixed_of
from darts_pl.report.strengths import Strengths
from darts_pl.spaces import space_of
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.retrain import find_genotype


def draw(context: Context) -> Summary:
    """Write `cells.svg` and `cells.png` of what `genotype=` names: a text, a published name, a file or the folder of a
    run. The cells of a search have the mixing weights of its last epoch behind the operations.

    Raises:
        UserError: if there is no such genotype.
    """
    started, wanted = time.monotonic(), context.config.genotype
    genotype = find_genotype(wanted)
    strengths = _strengths(Path(str(wanted)).expanduser(), genotype)
    save_cells(genotype, context.folder.path, strengths)
    summary: Summary = {
        "task": "draw",
        "genotype": str(genotype),
        "kind": space_of(genotype.kind).adjective,
        "strengths": bool(strengths),
        "seconds": round(time.monotonic() - started, 3),
    }
    context.folder.write_summary(summary)
    return summary


def _strengths(folder: Path, genotype: Genotype) -> Strengths:
    """The mixing weights of the search in a folder, or in its part `search`; none where there is no search."""
    try:
        if not folder.is_dir():
            return {}
        run = read_run_files(folder)
        part = run if run.arrays else run.parts.get("search", run)
        mixed = mixed_of(part)
    except (OSError, ValueError, KeyError, UserError):  # a text that is no path; a space that is not registered here
        return {}
    return {} if mixed is None or mixed.space.kind != genotype.kind else mixed.strengths()
