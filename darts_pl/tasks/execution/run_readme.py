"""`README.md` in the folder of a run: what it is, how it was made, what is in it, and what to do next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from darts_pl import atomic
from darts_pl.genotype import Genotype, parse
from darts_pl.records.contents import README, README_MARK, is_ours
from darts_pl.records.file_help import explained
from darts_pl.records.folder import Summary
from darts_pl.report.text import cell_text, numbering_text
from darts_pl.run_folder import how_to_continue
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.next_commands import Command, program
from darts_pl.tasks.execution.scores import shown

_MADE_BY = re.compile(r"^Made by\n\n    (.+)$", re.MULTILINE)


def write_readme(
    context: Context, summary: Summary | None, warnings: Sequence[tuple[str, str]], commands: Sequence[Command]
) -> None:
    """Write the page, unless the folder holds a README.md that no run wrote.

    Args:
        context: configuration and folder.
        summary: of the run; None where it was stopped.
        warnings: (part, message).
        commands: what comes next.
    """
    folder = context.folder.path
    path = folder / README
    if path.exists() and not is_ours(path):
        return
    if not path.exists():
        atomic.write(path, README_MARK + "\n")  # so that the page lists itself
    parts = [README_MARK, *_head(context, summary)]
    if warnings:
        lines = [f"- {f'`{part}/`: ' if part else ''}{message}" for part, message in warnings]
        parts += ["## Warnings", "\n".join(lines)]
    if commands:
        parts += ["## What comes next", *(f"{what[0].upper()}{what[1:]}:\n\n    {text}" for what, text in commands)]
    genotype = summary.get("genotype") if summary else None
    if isinstance(genotype, str):
        parts += ["## The cell", *_cell(parse(genotype))]
    parts += ["## Files", _files(folder)]
    atomic.write(path, "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n")


def command_line() -> str:
    """The command that made the run, or this job of its sweep."""
    hydra = HydraConfig.get()
    given = [one for one in hydra.overrides.task if not one.startswith(("resume=", "overwrite="))]
    if hydra.mode != RunMode.MULTIRUN:
        given += [one for one in hydra.overrides.hydra if not one.startswith("hydra.mode=")]
    return " ".join([program(), *map(shlex.quote, given)])


def _head(context: Context, summary: Summary | None) -> list[str]:
    name = context.config.task.name
    path, command = context.folder.path / README, command_line()
    earlier = _MADE_BY.search(path.read_text(encoding="utf-8")) if context.config.resume else None
    made = command if earlier is None else earlier.group(1)
    found = [f"# A run of task={name}", f"Made by\n\n    {made}"]
    if context.config.resume:
        found.append(f"and continued later with `resume={context.config.resume}`")
    found.append(f"in `{Path.cwd()}` with {_versions()}.")
    if summary is None:
        found.append(f"The run was stopped. To go on, repeat the command with `{how_to_continue()}`.")
        return found
    rows = "\n".join(f"| {label} | {value} |" for label, value in shown(summary))
    if rows:
        found += ["## Result", f"| | |\n| --- | ---: |\n{rows}"]
    if "random/conclusion" in summary:
        found.append(str(summary["random/conclusion"]))
    return found


def _versions() -> str:
    try:
        ours = f"darts_pl {version('darts-pl')}"
    except PackageNotFoundError:  # run from a folder without an installation
        ours = "darts_pl"
    return f"{ours} and torch {torch.__version__}"


def _cell(genotype: Genotype) -> list[str]:
    return [f"```\n{cell_text(genotype).rstrip()}\n```", f"`{genotype}`", numbering_text(genotype)]


def _files(folder: Path) -> str:
    rows = "\n".join(f"| `{name}` | {text} |" for name, text in explained(folder))
    return f"| file | what it is |\n| --- | --- |\n{rows}"
