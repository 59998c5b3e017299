"""The launchers that run jobs in other processes, as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from darts_pl.runs.job_record import read_record
from tests.tiny_sweep import TINY, write_images

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run.py", "-m", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], ["hydra/launcher=submitit_local"]],
    ids=["joblib", "submitit_local"],
)
def test_other_processes_run_the_jobs_and_a_failed_one_stops_no_other(launcher, tmp_path):
    """Two jobs, one of them without data; repeated with the data there, and with both found finished."""
    there, late = write_images(tmp_path / "there.npz"), tmp_path / "late.npz"
    sweep = tmp_path / "sweep"
    arguments = [*launcher, *TINY, f"data.path={there},{late}", f"hydra.sweep.dir={sweep}"]
    first = command(*arguments)
    assert first.returncode == 2, first.stderr
    assert "1 finished, 1 failed" in first.stdout
    failed, remedy = first.stderr.strip().splitlines()
    assert failed.startswith("failed: job 1 ")
    assert str(late) in failed
    assert "resume=true" in remedy
    folders = {read_record(file.parent).number: file.parent for file in sweep.glob("*/job.json")}
    folder, record = folders[0], read_record(folders[0])
    summary = json.loads((folder / "summary.json").read_text())
    assert record.objective == summary["search/valid_accuracy"]
    written = (folder / "summary.json").stat().st_mtime_ns
    write_images(late)
    second = command(*arguments, "resume=true")
    assert second.returncode == 0, second.stderr
    assert second.stderr == ""
    assert "2 finished" in second.stdout
    assert (folder / "summary.json").stat().st_mtime_ns == written
    # The same images, seed and settings: another process finds the same.
    other = json.loads((folders[1] / "summary.json").read_text())
    assert {name: value for name, value in other.items() if name != "seconds"} == {
        name: value for name, value in summary.items() if name != "seconds"
    }
