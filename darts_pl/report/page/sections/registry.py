"""The sections of a report by name, and what each of them is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from darts_pl.registry import Registry
from darts_pl.report.page.blocks import Block, Paragraph, Section, Value
from darts_pl.report.page.run_files import RunFiles
from darts_pl.report.protocol_rows import Measure


@dataclass(frozen=True)
class Report:
    """What a report is made of.

    Args:
        run: the files of the run.
        differences: (setting, value, default) of every setting that differs from its default.
        command: how the run was started.
        next_commands: (what it does, command) of what may follow.
        compared: other runs, by name, that are shown beside each other; the first is `run`.
    """

    run: RunFiles
    differences: Sequence[tuple[str, Value, Value]] = ()
    command: str = ""
    next_commands: Sequence[tuple[str, str]] = ()
    compared: Sequence[tuple[str, RunFiles]] = ()

    @property
    def searches(self) -> list[tuple[str, RunFiles]]:
        """The searches in the compared runs, or in this one."""
        return self._with(lambda run: bool(run.arrays))

    @property
    def trainings(self) -> list[tuple[str, RunFiles]]:
        """Likewise the trainings of final networks."""
        return self._with(lambda run: any(name.startswith("retrain/") for name in run.metrics))

    def _with(self, wanted: Callable[[RunFiles], bool]) -> list[tuple[str, RunFiles]]:
        if not self.compared:
            return [(name, run) for name, run in self.run.everything if wanted(run)]
        found = []
        for title, one in self.compared:
            inside = [(name, run) for name, run in one.everything if wanted(run)]
            found += [(f"{title} {name}".strip() if len(inside) > 1 else title, run) for name, run in inside]
        return found


class Entry(NamedTuple):
    """A section: its heading, and what makes its blocks (none = the section is left out)."""

    title: str
    build: Callable[[Report], Sequence[Block]]


#: Sections by name, in the order of their registration.
SECTIONS: Registry[Entry] = Registry("section of a report")


def section(name: str, title: str) -> Callable[[Callable[[Report], Sequence[Block]]], Callable[..., Sequence[Block]]]:
    """Decorator that registers a function from a report to the blocks of a section."""

    def add(build: Callable[[Report], Sequence[Block]]) -> Callable[..., Sequence[Block]]:
        SECTIONS.add(name, Entry(title, build), origin=build)
        return build

    return add


def build_sections(report: Report) -> list[Section]:
    """All sections that have something to show. One that cannot be drawn says so and leaves the others alone."""
    found = []
    for name in SECTIONS:
        entry = SECTIONS.get(name)
        try:
            blocks = list(entry.build(report))
        except Exception as error:  # files of other versions or of users' own components
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            blocks = [Paragraph(f"This section could not be drawn ({reason}).", alarm=True)]
        if blocks:
            found.append(Section(name, entry.title, blocks))
    return found


def measure_of(run: RunFiles) -> Measure:
    """How the architectures of a run are scored."""
    names = [*run.summary, *run.metrics, *(name for _, part in run.everything for name in part.metrics)]
    text = any("perplexity" in name for name in names)
    return Measure("perplexity", "words") if text else Measure("accuracy", "images")
