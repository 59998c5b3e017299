"""Sweeps from the command line: failed jobs, and sweeps that are repeated."""

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.core.config_store import ConfigStore

from darts_pl.cli import main
from darts_pl.errors import UserError
from darts_pl.interruption import Interrupted
from darts_pl.modules import SearchModule
from darts_pl.records.job_record import read_record
from tests.tiny_sweep import TINY, write_images


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of every file of a job, but for what Hydra writes before the job begins."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".hydra" not in path.parts
    }


def test_a_failed_job_stops_no_other_and_the_repeated_sweep_runs_only_it(tmp_path, sweep, jobs, capsys):
    files = [write_images(tmp_path / f"{name}.npz") for name in "abc"]
    files[1].unlink()
    arguments = [*TINY, f"data.path={','.join(map(str, files))}"]
    assert sweep(*arguments) == 2
    error = capsys.readouterr().err
    assert {number: record.state for number, record in jobs().items()} == {
        0: "finished", 1: "failed", 2: "finished",
    }  # fmt: skip
    assert "Traceback" not in error
    assert len(error.splitlines()) == 2, error
    assert error.startswith("failed: job 1  data=npz")
    assert str(files[1]) in error
    assert f"hydra.sweep.dir={tmp_path / 'sweep'} resume=true" in error.splitlines()[1]

    folders = {file.parent for file in (tmp_path / "sweep").glob("*/job.json")}
    done = {folder: contents(folder) for folder in folders if (folder / "summary.json").is_file()}
    assert len(done) == 2
    write_images(files[1])
    assert sweep(*arguments, "resume=true") == 0
    assert [record.state for record in jobs().values()] == ["finished"] * 3
    assert {folder: contents(folder) for folder in done} == done
    (again,) = folders - done.keys()
    assert (again / "summary.json").is_file()
    assert {file.parent for file in (tmp_path / "sweep").glob("*/job.json")} == folders


def test_a_bug_in_a_job_is_status_1_and_shows_its_traceback_at_the_end(sweep, pretend, jobs, capsys):
    def broken(context):
        if context.config.seed == 1:
            raise ZeroDivisionError("ours")
        if context.config.seed == 2:
            raise UserError("mendable\nlike this")
        return {"search/valid_accuracy": 0.5}

    calls = pretend(broken)
    assert sweep(*TINY, "data.path=none", "seed=0,1,2,3") == 1
    assert len(calls) == 4
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("Traceback") for line in lines) == 1
    assert [line.rpartition(": ")[2] for line in lines if line.startswith("failed: ")] == ["ours", "mendable"]
    assert [jobs()[number].objective for number in range(4)] == [0.5, None, None, 0.5]
    assert jobs()[2].reason == "mendable\nlike this"


def test_the_traceback_of_a_mendable_failure_is_shown_when_asked_for(sweep, monkeypatch, capsys):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert sweep(*TINY, "data.path=/no/such.npz", "seed=0") == 2
    assert "Traceback" in capsys.readouterr().err


def test_only_a_job_with_the_same_settings_and_a_whole_summary_counts_as_finished(sweep, pretend, jobs, tmp_path):
    calls = pretend(lambda context: {"search/valid_accuracy": 0.25 * context.config.seed})
    arguments = [*TINY, "data.path=none", "seed=1,2,3"]
    assert sweep(*arguments) == 0
    half, other = (tmp_path / "sweep" / f"seed-{seed}" for seed in (1, 2))
    whole = (half / "summary.json").read_text()
    (half / "summary.json").write_text(whole[: len(whole) // 2])
    record = read_record(other)
    replace(record, settings={**record.settings, "debug": True}).write(other)
    calls.clear()
    assert sweep(*arguments, "resume=true", "logger=[csv]") == 0
    assert [context.config.seed for context in calls] == [1, 2]
    assert [jobs()[number].objective for number in range(3)] == [0.25, 0.5, 0.75]


def test_a_sweep_that_replaces_another_runs_all_jobs_again_and_leaves_nothing_of_it(sweep, pretend, tmp_path):
    calls = pretend(lambda context: {})
    assert sweep(*TINY, "data.path=none", "seed=1,2") == 0
    (tmp_path / "sweep" / "notes.txt").write_text("mine")
    assert sweep(*TINY, "data.path=none", "seed=2,3", "overwrite=true") == 0
    assert [context.config.seed for context in calls] == [1, 2, 2, 3]
    left = sorted(path.name for path in (tmp_path / "sweep").iterdir() if not path.name.startswith("."))
    assert left == ["multirun.yaml", "notes.txt", "seed-2", "seed-3"]
    assert (tmp_path / "sweep" / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_with_the_job_that_was_cut_off(tmp_path, images, sweep, jobs, monkeypatch, capsys):
    """The second job is stopped in its second epoch; afterwards it is bitwise what it is in one go."""
    arguments = [*TINY, "search.epochs=2", f"data.path={images}", "seed=0,1,2"]
    assert main(["-m", *arguments, f"hydra.sweep.dir={tmp_path / 'in_one_go'}"]) == 0
    capsys.readouterr()
    step, epochs = SearchModule.training_step, []

    def stopping(module, *given):
        epochs.append(module.current_epoch)
        if len(epochs) == 7:  # two steps an epoch
            raise Interrupted(15)
        return step(module, *given)

    monkeypatch.setattr(SearchModule, "training_step", stopping)
    assert sweep(*arguments) == 143
    assert {number: record.state for number, record in jobs().items()} == {0: "finished", 1: "running"}
    error = capsys.readouterr().err
    assert "not finished: job 1 " in error
    assert f"hydra.sweep.dir={tmp_path / 'sweep'} resume=true" in error
    epochs[:] = [None] * 7
    assert sweep(*arguments, "resume=true") == 0
    assert epochs[7:] == [1, 1, 0, 0, 1, 1]  # the rest of the second job, and the third
    for folder in (tmp_path / "in_one_go").glob("*seed-*"):
        ours, theirs = (np.load(path / "alphas.npz") for path in (tmp_path / "sweep" / folder.name, folder))
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs.files)


def test_a_stopped_sweep_says_which_folder_to_go_on_in(tmp_path, pretend, monkeypatch, capsys):
    def stopped(context):
        raise Interrupted(15, saved=Path("last.ckpt"))

    monkeypatch.chdir(tmp_path)
    pretend(stopped)
    assert main(["-m", *TINY, "data.path=none", "seed=0,1"]) == 143
    (folder,) = Path("multirun/search").iterdir()
    lines = capsys.readouterr().err.splitlines()
    assert (
        f"to run the jobs that have not finished, repeat the command with hydra.sweep.dir={folder} resume=true" in lines
    )
    assert sum("resume=true" in line for line in lines) == 1


def test_resume_without_a_folder_is_refused_and_names_the_newest_sweep(tmp_path, pretend, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    calls = pretend(lambda context: {})
    arguments = [*TINY, "data.path=none", "seed=0"]
    assert main(["-m", *arguments, "resume=true"]) == 2
    assert "holds no sweep" in capsys.readouterr().err
    for name in ("newer", "older"):
        assert main(["-m", *arguments, f"hydra.sweep.dir=multirun/search/{name}"]) == 0
    for file in Path("multirun/search/newer/.jobs").iterdir():
        os.utime(file, (2e9, 2e9))
    calls.clear()
    capsys.readouterr()
    assert main(["-m", *arguments, "resume=true"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "hydra.sweep.dir=multirun/search/newer" in error
    assert main(["-m", *arguments, "resume=multirun/search/newer"]) == 2
    assert "hydra.sweep.dir=FOLDER" in capsys.readouterr().err
    assert calls == []
    assert sorted(path.name for path in Path("multirun/search").iterdir()) == ["newer", "older"]


def test_a_sweep_that_cannot_be_composed_runs_no_job(sweep, pretend, capsys):
    calls = pretend(lambda context: {})
    assert sweep(*TINY, "data.path=none", "order=first,third") == 2
    error = capsys.readouterr().err
    assert "third" in error
    assert "second_exact" in error
    assert len(error.splitlines()) <= 3
    assert calls == []


@pytest.mark.parametrize(
    ("group", "option", "choice", "plugin"),
    [
        ("launcher", "joblib", "joblib", "hydra-joblib-launcher"),
        ("launcher", "submitit_slurm", "submitit_slurm", "hydra-submitit-launcher"),
        ("launcher", "submitit_slurm", "slurm", "hydra-submitit-launcher"),
        ("sweeper", "optuna", "optuna", "hydra-optuna-sweeper"),
        ("sweeper", "optuna", "optuna_cnn", "hydra-optuna-sweeper"),
    ],
)
def test_without_the_extra_one_line_names_it(group, option, choice, plugin, sweep, monkeypatch, capsys):
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"][group], f"{option}.yaml")  # as where it is not installed
    assert sweep(*TINY, "data.path=none", "seed=0,1", f"hydra/{group}={choice}") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert plugin in error
    assert "[sweep]" in error


def test_a_sweep_of_searches_ends_with_the_command_that_trains_the_best_cell(sweep, tmp_path, capsys):
    write_images(tmp_path / "own.npz")
    assert sweep(*TINY, f"data.path={tmp_path / 'own.npz'}", "seed=0,1,2") == 0
    shown = capsys.readouterr().out
    scores = {
        file.parent: json.loads(file.read_text())["search/valid_accuracy"]
        for file in (tmp_path / "sweep").glob("*/summary.json")
    }
    best = max(sorted(scores), key=scores.__getitem__)
    assert len(scores) == 3
    (line,) = shown.partition("\nsweep ")[2].partition("what comes next\n")[2].splitlines()
    command, _, purpose = line.strip().partition("  # ")
    assert purpose == (
        f"train the cell of {best.name}, the best of 3 runs by search/valid_accuracy, {scores[best]:.4f}"
    )
    assert shlex.split(command)[:4] == ["python", "run.py", "task=retrain", f"genotype={best}"]


def test_a_sweep_of_one_search_repeats_no_command(sweep, tmp_path, capsys):
    write_images(tmp_path / "own.npz")
    assert sweep(*TINY, f"data.path={tmp_path / 'own.npz'}", "seed=0") == 0
    assert "what comes next" not in capsys.readouterr().out.partition("\nsweep ")[2]
