"""The launchers that run jobs in other processes, as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from submitit import LocalExecutor
from submitit.core.core import Job

from darts_pl.records.job_record import read_record
from darts_pl.sweeps.lost_jobs import wait_for_all
from tests.pretended_slurm import install
from tests.tiny_sweep import TINY, write_images

ROOT = Path(__file__).parents[2]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_a_job_that_submitit_lost_is_named_and_those_after_it_are_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(Job, "results", Job.results)  # put back afterwards
    lost: list[str] = []
    wait_for_all(lost)
    wait_for_all(lost)
    executor = LocalExecutor(tmp_path)
    jobs = [executor.submit(function, 3) for function in (os._exit, abs)]
    (killed,), (done,) = (job.results() for job in jobs)
    assert killed.return_value is None
    assert done == 3
    (line,) = lost
    assert str(jobs[0].job_id) in line
    assert str(jobs[0].paths.stderr) in line


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
    arguments = ["-m", *launcher, *TINY, f"data.path={there},{late}", f"hydra.sweep.dir={sweep}"]
    first = command(*arguments)
    assert first.returncode == 2, first.stderr
    assert "1 finished, 1 failed" in first.stdout
    # Before them may stand what joblib itself has to say.
    failed, remedy = first.stderr.strip().splitlines()[-2:]
    assert failed.startswith("failed: job 1 "), first.stderr
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
    assert "failed" not in second.stderr
    assert "2 finished" in second.stdout
    assert (folder / "summary.json").stat().st_mtime_ns == written
    # The same images, seed and settings: another process finds the same.
    other = json.loads((folders[1] / "summary.json").read_text())
    assert {name: value for name, value in other.items() if name != "seconds"} == {
        name: value for name, value in summary.items() if name != "seconds"
    }


@pytest.mark.slow
def test_slurm_tasks_of_one_job_search_together_as_the_processes_of_a_single_run_do(tmp_path):
    """Two jobs of two ranks each. SLURM's programs are stand-ins that start processes on this machine."""
    install(tmp_path / "bin")
    arguments = [*TINY, f"data.path={write_images(tmp_path / 'images.npz')}", "hardware=ddp_cpu"]
    launcher = ["hydra/launcher=slurm", "hydra.launcher.tasks_per_node=2"]
    sweep, path = tmp_path / "sweep", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = command("-m", *arguments, *launcher, "seed=0,1", f"hydra.sweep.dir={sweep}", PATH=path)
    assert done.returncode == 0, done.stderr
    assert "2 finished" in done.stdout
    for seed in (0, 1):
        assert len(list((sweep / ".submitit" / f"4200_{seed}").glob("*_result.pkl"))) == 2  # one a rank
    single = command(*arguments, "seed=1", f"hydra.run.dir={tmp_path / 'single'}")
    assert single.returncode == 0, single.stderr
    ours, theirs = (np.load(folder / "alphas.npz") for folder in (sweep / "seed-1", tmp_path / "single"))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs.files)
