"""Registrations and modules of the user that last for one test only."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from darts_pl import plugins
from darts_pl.config import SECTIONS, Choice
from darts_pl.registry import Registry


def keep_registrations(monkeypatch: pytest.MonkeyPatch, registries: Iterable[Registry[Any]]) -> None:
    """Give the registries copies of their tables: what is registered from now on is gone after the test."""
    for registry in registries:
        for table in ("_items", "_origins", "_settings"):
            monkeypatch.setattr(registry, table, dict(getattr(registry, table)))


@contextmanager
def forgotten_after(
    monkeypatch: pytest.MonkeyPatch, others: Iterable[Registry[Any]], imported: Callable[[str], bool]
) -> Iterator[None]:
    """What a test registers, in the sections of the configuration and in `others`, and imports is forgotten after it.

    Args:
        monkeypatch: of the test.
        others: further registries.
        imported: says of the name of a module whether the test may import it, and it is then imported again.
    """
    sections = [section.registry for section in SECTIONS.values() if isinstance(section, Choice)]
    keep_registrations(monkeypatch, [*sections, *others])
    monkeypatch.setattr(plugins, "_seen", set())
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if imported(name):
            del sys.modules[name]
    importlib.invalidate_caches()
