"""The warnings of a run, and what was run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darts_pl.report.page.blocks import Block, Commands, Facts, Paragraph, Table, Value
from darts_pl.report.page.run_files import RunFiles
from darts_pl.report.page.sections.registry import Report, section

#: Groups of the configuration, and what a page calls the choice.
CHOICES = {
    "experiment": "experiment",
    "search": "search space",
    "method": "method",
    "order": "order",
    "select": "selection rule",
    "strategy": "strategy",
    "evaluator": "evaluator",
    "train": "training recipe",
}
_OF_A_SEARCH = ("search", "method", "order", "select")
_WITH_GRADIENTS = ("method", "order", "select")
#: By task, the groups that do not matter there; in all others there is no strategy.
HIDDEN: Mapping[str, tuple[str, ...]] = {
    "strategy": _WITH_GRADIENTS,
    "random": _WITH_GRADIENTS,
    "search": ("strategy", "evaluator", "train"),
    "derive": ("strategy", "evaluator", "train", "search", "method", "order"),
    "retrain": ("strategy", "evaluator", *_OF_A_SEARCH),
    "test": ("strategy", "evaluator", *_OF_A_SEARCH),
    "collect": tuple(CHOICES),
    "correlate": tuple(CHOICES),
}


@section("warnings", "Warnings")
def warnings(report: Report) -> Sequence[Block]:
    """What the run warned of, why it ended early, and which files could not be read."""
    blocks: list[Block] = []
    run = report.run
    if run.state not in ("finished", "unfinished"):
        blocks.append(Paragraph(f"The run {_ended(run.state)}: {run.record.get('reason') or 'no reason'}", alarm=True))
    elif run.state == "unfinished":
        text = "The run has not finished: it is still running, or its process was killed. This page shows what it left."
        blocks.append(Paragraph(text, alarm=True))
    for name, part in run.everything:
        for one in part.warnings:
            text = f"{one.message} (The limit of this warning is {one.limit:.4g}.)" if one.limit else one.message
            blocks.append(Paragraph(f"{name}: {text}" if name else text, alarm=True))
        blocks += [Paragraph(f"{path} is damaged and was passed over.", alarm=True) for path in part.unreadable]
    return blocks


@section("run", "What was run")
def what_was_run(report: Report) -> Sequence[Block]:
    """Command, settings, versions, device, seed, time and cost."""
    run = report.run
    blocks: list[Block] = [Facts([*_choices(run), *_data(run), *_cost(run), *_machine(run)])]
    commands = [("This run again", report.command)] if report.command else []
    blocks += [Commands([*commands, *report.next_commands])] if commands or report.next_commands else []
    if report.differences:
        rows = [(key, value, default) for key, value, default in report.differences]
        title = f"{len(rows)} settings that differ from the defaults"
        blocks.append(Table(["setting", "this run", "default"], rows, title, folded=True))
    return blocks


def _ended(state: str) -> str:
    return "was interrupted" if state == "interrupted" else "failed"


def hidden_groups(run: RunFiles) -> tuple[str, ...]:
    """The groups of the configuration that the run's task does not read."""
    return HIDDEN.get(run.task, ("strategy", "evaluator"))


def _choices(run: RunFiles) -> list[tuple[str, Value]]:
    rows: list[tuple[str, Value]] = [("task", run.task)]
    hidden = hidden_groups(run)
    if run.task == "strategy" and run.setting("evaluator.name") != "train":  # nothing is trained by the recipe
        hidden = (*hidden, "train")
    for name, label in CHOICES.items():
        if run.choices.get(name) and name not in hidden:
            rows.append((label, str(run.choices[name])))
    seed = run.setting("seed", run.summary.get("seed"))
    return [*rows, ("seed", seed)] if seed is not None else rows


def _data(run: RunFiles) -> list[tuple[str, Value]]:
    name = run.setting("data.name", run.summary.get("data"))
    data = next((part.data for _, part in run.everything if part.data), {})
    if data and not data.get("height") and (side := run.setting("data.size")):  # photos, scaled to squares
        data = {**data, "height": side, "width": side}
    reads = run.task not in ("strategy", "random", "collect", "correlate", "derive") or bool(data)
    return [("data", f"{name}{_described(data)}")] if name and reads else []


def _described(data: Mapping[str, Any]) -> str:
    parts = []
    if isinstance(data.get("classes"), list):
        parts.append(f"{len(data['classes'])} classes")
    if data.get("words"):
        parts.append(f"{data['words']:,} different words")
    if data.get("height"):
        parts.append(f"{data['channels']}\N{MULTIPLICATION SIGN}{data['height']}\N{MULTIPLICATION SIGN}{data['width']}")
    for split in ("train", "valid", "test"):
        if isinstance(data.get(split), Mapping) and data[split].get("count"):
            parts.append(f"{data[split]['count']:,} in {split}")
    return f": {', '.join(parts)}" if parts else ""


def _cost(run: RunFiles) -> list[tuple[str, Value]]:
    rows: list[tuple[str, Value]] = []
    if isinstance(run.summary.get("seconds"), (int, float)):
        rows.append(("time", duration(run.summary["seconds"])))
    for part_name, part in run.everything:
        if part_name and "/" not in part_name and part.summary.get("seconds"):
            rows.append((f"time of {part_name}", duration(part.summary["seconds"])))
    for name in ("epochs", "steps", "images", "words"):
        values = [part.summary.get(name) for part in run.parts.values()]
        counted = [value for value in values if isinstance(value, int)]
        total = sum(counted) if counted else run.summary.get(name)
        if isinstance(total, int) and not isinstance(total, bool):
            rows.append((name if not counted else f"{name}, all parts", total))
    return rows


def _machine(run: RunFiles) -> list[tuple[str, Value]]:
    record = run.record
    names = (("device", "device"), ("processes", "processes"), ("started", "started"), ("ended", "ended"))
    rows: list[tuple[str, Value]] = [(label, record[name]) for name, label in names if record.get(name) is not None]
    versions = record.get("versions")
    if isinstance(versions, Mapping):
        rows.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return [*rows, ("folder", str(run.folder))]


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
