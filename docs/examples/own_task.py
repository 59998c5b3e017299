"""A task of one's own: which fraction of the edges of a finished search kept its strongest candidate to the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darts_pl.errors import UserError
from darts_pl.records import Summary
from darts_pl.settings import between, setting
from darts_pl.tasks import TASKS, Context, TaskSettings


@dataclass(frozen=True, kw_only=True)
class SteadinessSettings(TaskSettings):
    """How early the edges of a search settled."""

    since: float = setting("fraction of the epochs after which an edge must not change", between(0, 1))


@TASKS.register("steadiness", settings=SteadinessSettings)
def steadiness(context: Context) -> Summary:
    """The fraction of edges whose strongest candidate has not changed since then, by cell type."""
    run = context.config.run
    if run is None or not (Path(run) / "alphas.npz").is_file():
        raise UserError(f"run={run}: give the folder of a search, which holds alphas.npz")
    summary: Summary = {"task": "steadiness"}
    with np.load(Path(run) / "alphas.npz") as alphas:
        for cell_type in alphas.files:
            if alphas[cell_type].ndim == 3:  # [epochs + 1, edges, candidates]
                strongest = alphas[cell_type].argmax(2)
                first = round(context.config.task.since * (len(strongest) - 1))
                summary[f"steady/{cell_type}"] = float((strongest[first:] == strongest[-1]).all(0).mean())
    context.folder.write_summary(summary)
    return summary
