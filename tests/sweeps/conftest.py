"""Sweeps of the smallest searches, in process: what they return and what they leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from darts_pl.cli import main
from darts_pl.records.job_record import read_record
from darts_pl.tasks import TASKS
from darts_pl.tasks.execution.context import Context
from tests.tiny_sweep import write_images

Summary = dict[str, Any]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images") / "images.npz")


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., int]:
    """Runs a sweep into `tmp_path / "sweep"`; returns its exit status."""

    def start(*arguments: str) -> int:
        return main(["-m", *arguments, f"hydra.sweep.dir={tmp_path / 'sweep'}"])

    return start


@pytest.fixture
def jobs(tmp_path: Path) -> Callable[[], dict[int, Any]]:
    """The records in the sweep's folder, by the jobs' numbers."""

    def read() -> dict[int, Any]:
        records = [read_record(file.parent) for file in (tmp_path / "sweep").glob("*/job.json")]
        return {record.number: record for record in records if record is not None}

    return read


Found = Callable[[Context], Mapping[str, Any]]


def put_in_place_of_tasks(monkeypatch: pytest.MonkeyPatch, found: Found) -> list[Context]:
    """Puts `found` in the place of every task but collect; returns the list of what it is called with."""
    calls: list[Context] = []

    def search(context: Context) -> Summary:
        calls.append(context)
        summary = {"task": "search", "seed": context.config.seed, **found(context)}
        context.folder.write_summary(summary)
        return summary

    items = {**dict.fromkeys(TASKS, search), "collect": TASKS.get("collect")}
    monkeypatch.setattr(TASKS, "_items", items)
    return calls


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[Found], list[Context]]:
    """`put_in_place_of_tasks` for the length of a test."""
    return lambda found: put_in_place_of_tasks(monkeypatch, found)


@pytest.fixture(scope="session")
def swept_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Found, list[str], int], Path]:
    """Runs a sweep of pretended jobs, which must end with a status; returns its folder."""

    def start(found: Found, arguments: list[str], status: int) -> Path:
        folder = tmp_path_factory.mktemp("swept")
        with pytest.MonkeyPatch.context() as monkeypatch:
            put_in_place_of_tasks(monkeypatch, found)
            assert main(["-m", *arguments, f"hydra.sweep.dir={folder}"]) == status
        return folder

    return start
