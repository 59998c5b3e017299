"""The warnings about a run, in its summary and in its folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from darts_pl.records.folder import Summary
from darts_pl.records.run_ending import NAME, read_warnings, write_ending
from darts_pl.report.run_warnings import RunFacts, run_warnings
from darts_pl.runs import is_rank_zero
from darts_pl.spaces import Supernet
from darts_pl.tasks.execution.context import Context


def equal_entropies(supernet: Supernet) -> dict[str, float]:
    """By cell type the entropy that is logged where all candidates weigh the same."""
    architecture = supernet.arch
    with torch.no_grad():
        return {
            name: float(
                architecture.relaxation.entropy(
                    architecture.relaxation.expected(torch.zeros_like(alphas), architecture.live_mask(name))
                )
            )
            for name, alphas in architecture.alphas.items()
        }


def warn(
    context: Context,
    summary: Summary,
    rows: Sequence[Mapping[str, float]] = (),
    entropies: Mapping[str, float] | None = None,
    parts: Iterable[str] = (),
) -> Summary:
    """Look at a run, write `warnings.json`, and return the warnings for its summary.

    A smoke test (`debug=true`) gets none.

    Args:
        context: configuration and folder.
        summary: of the run.
        rows: of `metrics.csv`.
        entropies: see `equal_entropies`.
        parts: subfolders whose warnings are repeated.
    """
    if context.config.debug:
        return {}
    found = run_warnings(RunFacts(rows, summary, entropies or {}))
    if is_rank_zero():
        inner = [{**one, "part": part} for part in parts for one in read_warnings(context.folder.path / part)]
        known = {(one.get("name"), one.get("about")) for one in inner}
        own = [one.to_plain() for one in found if (one.name, one.about) not in known]
        write_ending(context.folder.path, [*inner, *own])
    return {one.key: one.message for one in found}


def warnings_of(folder: Path) -> list[tuple[str, str]]:
    """(part, message) of all warnings about the run in a folder; those of runs inside it where it has none itself.

    Warnings of one name are shown once, with the number of runs that have them.
    """
    if (folder / NAME).is_file():
        return [(str(one.get("part", "")), str(one["message"])) for one in read_warnings(folder)]
    found: dict[str, list[tuple[str, str]]] = {}
    for file in sorted(folder.rglob(NAME)):
        for one in read_warnings(file.parent):
            name = f"{one.get('name')} {one.get('about')}"
            found.setdefault(name, []).append((str(file.parent.relative_to(folder)), str(one["message"])))
    return [
        (part if len(runs) == 1 else f"{part} and {len(runs) - 1} more", message)
        for runs in found.values()
        for part, message in runs[:1]
    ]
