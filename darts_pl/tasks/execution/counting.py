"""How far a loop over many samples is: a bar on a terminal, otherwise a line every minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from darts_pl.callbacks.progress import duration

Item = TypeVar("Item")

#: Seconds between two lines where the output is no terminal.
LINE_SECONDS = 60.0
#: Fewer items need no bar.
FEW = 8


def counted(items: Iterable[Item], count: int, title: str, noun: str) -> Iterator[Item]:
    """The items, and meanwhile on screen how many of them are done.

    Args:
        items: `count` of them.
        count: how many there are.
        title: first word on screen.
        noun: what the items are called.
    """
    if count < FEW:
        yield from items
    elif sys.stdout.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as bar:
            yield from bar.track(items, total=count, description=f"{title} {noun}")
    else:
        yield from _with_lines(items, count, title, noun)


def _with_lines(items: Iterable[Item], count: int, title: str, noun: str) -> Iterator[Item]:
    started = shown = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - shown >= LINE_SECONDS and done < count:
            left = duration((now - started) / done * (count - done))
            print(f"{title} {done:,}/{count:,} {noun}, {left} left", flush=True)
            shown = now
