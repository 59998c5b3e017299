"""The last lines of a run on screen, and what they leave in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from darts_pl.callbacks.screen.lines import paragraph
from darts_pl.errors import UserError
from darts_pl.genotype import parse
from darts_pl.records.contents import holds_run
from darts_pl.records.folder import Summary
from darts_pl.records.run_ending import read_warnings, write_ending
from darts_pl.report.text import cell_text, numbering_text
from darts_pl.run_folder import shown as shown_path
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.next_commands import Command, next_commands
from darts_pl.tasks.execution.report_ending import finish_report
from darts_pl.tasks.execution.run_readme import write_readme
from darts_pl.tasks.execution.scores import shown
from darts_pl.tasks.execution.warning import warnings_of

#: What the comparison with random cells is, for somebody who sees it for the first time.
RANDOM_CELLS = (
    "The random cells were drawn from the same search space and trained in the same way. They show what a network is "
    "worth without a search: the search has helped only as far as the found cell is better than they are."
)
#: How far the numbers can be repeated.
REPEATABLE = (
    "On this machine the same command gives the same numbers again; on another one, or with another version of torch, "
    "sums are rounded in another order and the numbers differ a little, sometimes the cells too."
)


def finish(context: Context, summary: Summary, started: datetime) -> None:
    """Print what a run has found, warnings and the next commands; write these, the report and the page of its folder.

    Args:
        context: of the task.
        summary: what it returned.
        started: when it began.
    """
    folder = context.folder.path
    warnings, commands = warnings_of(folder), next_commands(context, summary)
    if commands:
        write_ending(folder, read_warnings(folder), commands)
    report = finish_report(context, started)
    if holds_run(folder):
        write_readme(context, summary, warnings, commands)
    if report is not None:
        summary = {**summary, "report": shown_path(report)}
    print("\n".join(_lines(context, summary, warnings, commands)), flush=True)


def finish_stopped(context: Context, started: datetime, error: BaseException) -> None:
    """Write the report and the page of a run's folder that says how to continue; nothing where there is no run.

    Args:
        context: of the task.
        started: when it began.
        error: what ended it.
    """
    finish_report(context, started, error)
    if holds_run(context.folder.path) and not isinstance(error, UserError):
        write_readme(context, None, [], [])


def _lines(
    context: Context, summary: Summary, warnings: Sequence[tuple[str, str]], commands: Sequence[Command]
) -> Iterator[str]:
    yield ""
    genotype = summary.get("genotype")
    if isinstance(genotype, str):
        yield cell_text(parse(genotype))
    entries = list(shown(summary))
    if genotype is not None:
        entries.append(("genotype", str(genotype)))
    entries.append(("folder", shown_path(context.folder.path)))
    if "report" in summary:
        entries.append(("report", str(summary["report"])))
    width = max(len(label) for label, _ in entries) + 2
    yield from (f"{label:<{width}}{value}" for label, value in entries)
    if isinstance(genotype, str) and (numbering := numbering_text(parse(genotype))):
        yield "\n" + paragraph("", numbering)
    if "random/conclusion" in summary:
        yield "\n" + paragraph("", str(summary["random/conclusion"]))
        yield paragraph("", RANDOM_CELLS)
        yield paragraph("", REPEATABLE)
    if "compare/conclusion" in summary:
        yield "\n" + paragraph("", str(summary["compare/conclusion"]))
    if warnings:
        yield "\nwarnings"
        yield from (paragraph("  - ", f"{f'{part}: ' if part else ''}{message}") for part, message in warnings)
    if commands:
        yield "\nwhat comes next"
        yield from (f"  {text}  # {what}" for what, text in commands)
