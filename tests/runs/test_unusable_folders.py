"""A run folder that cannot be made or written: one line and status 2, before any work is done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from darts_pl.cli import main
from tests.sweeps.conftest import put_in_place_of_tasks

ROOT = Path(__file__).parents[2]
PLACES = [
    "/proc/x",
    "/proc",
    "/sys/x",
    "/dev/null",
    "/dev/null/x",
    "{tmp}/file",
    "{tmp}/file/a/b",
    "{tmp}/" + "n" * 300,
]
PLACES += ["{tmp}/" + "/".join(["n" * 200] * 30)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", ["hydra.run.dir", "hydra.sweep.dir"])
def test_a_place_where_no_run_can_write_is_refused_in_one_line(key, place, tmp_path, monkeypatch, capsys):
    calls = put_in_place_of_tasks(monkeypatch, lambda context: {})
    (tmp_path / "file").write_text("precious")
    folder = place.format(tmp=tmp_path)
    arguments = ["data=digits", f"{key}={folder}", *(["-m", "seed=1,2"] if key == "hydra.sweep.dir" else [])]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert error.startswith(f"error: {key}={folder[:80]}")
    assert len(error) < 350
    assert calls == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["checkpoints", "summary.json", "search"])
def test_a_file_or_a_folder_in_the_place_of_one_of_the_run_is_refused(name, tmp_path, monkeypatch, capsys):
    calls = put_in_place_of_tasks(monkeypatch, lambda context: {})
    run = tmp_path / "run"
    run.mkdir()
    (run / name).mkdir() if name.endswith(".json") else (run / name).write_text("precious")
    assert main(["data=digits", f"hydra.run.dir={run}"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert str(run / name) in error
    assert calls == []


def test_a_full_disk_is_noticed_before_any_work(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no such limit")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    command = [sys.executable, str(ROOT / "run.py"), "data=digits", f"hydra.run.dir={tmp_path / 'run'}"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"hydra.run.dir={tmp_path / 'run'}" in done.stderr
    assert "free some space" in done.stderr
    assert list(tmp_path.iterdir()) == []
