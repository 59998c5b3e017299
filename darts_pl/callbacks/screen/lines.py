"""Lines of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

#: Columns of a line; a path is not broken, so that it can be copied.
WIDTH = 100
#: Between two parts of a line.
GAP = "  "
#: Width of a label in a table, that of "training".
LABEL = 8


def joined(first: str, parts: Iterable[str]) -> str:
    """The parts behind `first`, on as many lines as they need; further lines begin below the first part.

    Args:
        first: the beginning, such as "search 1/6".
        parts: each stays whole.
    """
    lines = [first]
    for part in parts:
        longer = f"{lines[-1]}{GAP}{part}"
        if len(longer) <= WIDTH or lines[-1] == first:
            lines[-1] = longer
        else:
            lines.append(f"{' ' * len(first)}{GAP}{part}")
    return "\n".join(lines)


def table(entries: Mapping[str, str]) -> str:
    """One entry per line, its label and its text; a long text continues below its beginning.

    Args:
        entries: label -> text. Labels of up to LABEL characters are as wide in every table.
    """
    width = max(LABEL, *map(len, entries)) if entries else LABEL
    return "\n".join(paragraph(f"  {label:<{width}}{GAP}", text) for label, text in entries.items())


def paragraph(first: str, text: str) -> str:
    """A text behind `first`; its further lines begin below its first word."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
