"""task=protocol in several processes, side by side and killed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darts_pl.callbacks import LastCheckpoint
from darts_pl.cli import main
from darts_pl.records.claims.lock import lock_folder
from darts_pl.selection import Trials
from darts_pl.tasks.protocol import parts as protocol_parts
from tests.tasks.conftest import finished
from tests.tasks.protocol.parts import SMALL, results, summaries

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_the_parts_run_side_by_side_in_a_sweep(done, images, tmp_path):
    stages = tmp_path / "stages"
    command = (*SMALL, f"data.path={images}", f"task.folder={stages}", "task.stage=search", "task.only=[0],[1]")
    assert main(["-m", *command, f"hydra.sweep.dir={tmp_path / 'sweep'}"]) == 0
    assert summaries(stages) == summaries(done, "searches")


@pytest.mark.slow
def test_the_parts_run_side_by_side_on_the_processes_of_joblib(done, images, tmp_path):
    stages = tmp_path / "stages"
    command = (*SMALL, f"data.path={images}", f"task.folder={stages}")
    sweep = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    for stage in ("search", "derive", "choice"):
        more = (f"task.stage={stage}", "task.only=[0],[1]", f"hydra.sweep.dir={tmp_path / stage}")
        assert main(["-m", *command, *sweep, *more]) == 0
    assert results(finished(tmp_path / "all", *command) and stages) == results(done)


class Killed(BaseException):
    """Stands for a kill: nothing of ours handles it."""


def dying(method: Callable[..., Any], call: int) -> Callable[..., Any]:
    """`method`, after whose call number `call` the process dies."""
    calls = 0

    def run(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        found = method(*arguments, **named)
        calls += 1
        if calls == call:
            raise Killed
        return found

    return run


@pytest.mark.slow
def test_a_protocol_killed_in_every_stage_ends_as_one_never_stopped(done, images, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    command = [*SMALL, f"data.path={images}", f"hydra.run.dir={folder}"]
    places = (
        (LastCheckpoint, "on_train_epoch_end", 2, []),  # in the second search
        (Trials, "score", 2, ["resume=true"]),  # in the first derivation
        (LastCheckpoint, "on_train_epoch_end", 4, ["resume=true"]),  # in the middle of a short training
        (LastCheckpoint, "on_train_epoch_end", 12, ["resume=true"]),  # in a full training
    )
    stopped = []
    for owner, name, call, more in places:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, dying(getattr(owner, name), call))
            with pytest.raises(Killed):
                main([*command, *more])
        parts = [path.parents[1] for path in folder.rglob(".hydra/config.yaml") if path.parents[1] != folder]
        stopped.append([str(part.relative_to(folder)) for part in parts if not (part / "summary.json").is_file()])
    assert stopped == [["searches/1"], ["derived/shared_weights/0"], ["choice/search/1"], ["final/search/1"]]
    assert main([*command, "resume=true"]) == 0
    assert results(folder) == results(done)
    assert summaries(folder, "searches", "derived", "final") == summaries(done, "searches", "derived", "final")


@pytest.mark.slow
def test_two_processes_of_one_protocol_killed_at_random_moments_end_as_one_never_stopped(done, images, tmp_path):
    stages, draw = tmp_path / "stages", random.Random(0)
    command = [*SMALL, f"data.path={images}", f"task.folder={stages}"]

    def start(number: int) -> subprocess.Popen[bytes]:
        run = [sys.executable, str(ROOT / "run.py"), *command, f"hydra.run.dir={tmp_path / f'process_{number}'}"]
        return subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.DEVNULL)

    for number in (0, 2):
        before, processes = len(summaries(stages)), [start(number), start(number + 1)]
        while len(summaries(stages)) < before + 3:
            assert any(process.poll() is None for process in processes)
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 0.5))
        for process in processes:
            process.kill()
            process.wait()
    processes = [start(4), start(5)]
    assert [process.wait() for process in processes] == [0, 0]
    assert results(stages) == results(done)


def test_a_part_of_another_process_is_waited_for_and_never_run_twice(done, images, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(done, tmp_path / "run"))
    part = folder / "searches" / "1"
    (part / "summary.json").unlink()
    lock = lock_folder(part)
    command = (*SMALL, f"data.path={images}", f"task.folder={folder}")
    summary = finished(tmp_path / "only", *command, "task.stage=search", "task.only=[1]") / "summary.json"
    assert json.loads(summary.read_text())["missing"] == 1
    monkeypatch.setattr(protocol_parts, "PAUSE", 0.05)

    def end_elsewhere() -> None:
        shutil.copy(done / "searches" / "1" / "summary.json", part / "summary.json")
        lock.release()

    timer = threading.Timer(0.5, end_elsewhere)
    timer.start()
    summary = finished(tmp_path / "all", *command) / "summary.json"
    timer.join()
    assert json.loads(summary.read_text())["missing"] == 0
    assert (part / "summary.json").read_bytes() == (done / "searches" / "1" / "summary.json").read_bytes()
