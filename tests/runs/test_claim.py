"""Two commands and one folder: each folder is one run's, and a refused command changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from darts_pl.cli import main
from tests.sweeps.conftest import put_in_place_of_tasks
from tests.two_commands import begin, finish, start

DATA = ["data=digits"]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def seeds(folder: Path) -> set[int]:
    """The seeds that the files of one run name, which must be one."""
    config = yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    return {config["seed"], summary["seed"], int((folder / "checkpoints" / "last.ckpt").read_text())}


@pytest.fixture
def pretended(monkeypatch):
    """Every task writes a checkpoint and a summary with its seed."""

    def found(context):
        (context.folder.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        (context.folder.path / "checkpoints" / "last.ckpt").write_text(str(context.config.seed))
        return {}

    return put_in_place_of_tasks(monkeypatch, found)


@pytest.mark.parametrize(
    "mode",
    [
        [],
        pytest.param(["task=retrain", "genotype=darts_v2"], marks=pytest.mark.slow),
        ["hydra.run.dir=outputs/${now:%Y}"],
    ],
)
def test_commands_started_in_the_same_moment_have_a_folder_each_or_one_is_refused(mode, tmp_path):
    processes = [start(tmp_path, *DATA, *mode, f"seed={seed}") for seed in (1, 2, 3)]
    begin(tmp_path, *processes)
    ended = finish(tmp_path, *processes)
    folders = sorted({path.parent for path in tmp_path.glob("outputs/**/summary.json")})
    assert all(len(seeds(folder)) == 1 for folder in folders)
    won = [status for status, _ in ended].count(0)
    assert len(folders) == won
    if mode and mode[0].startswith("hydra.run.dir"):
        assert sorted(status for status, _ in ended) == [0, 2, 2]
        assert all("outputs/20" in error and "in use by process" in error for status, error in ended if status)
    else:
        assert won == 3
        assert {seed for folder in folders for seed in seeds(folder)} == {1, 2, 3}


def test_a_default_name_that_is_taken_gets_a_number(tmp_path, monkeypatch, pretended):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("darts_pl.run_folder.run_folder", lambda resume, parent, name: f"{parent}/same_second")
    for seed in range(3):
        assert main([*DATA, f"seed={seed}", "task=search"]) == 0
    folders = {path.name: seeds(path) for path in (tmp_path / "outputs" / "search").iterdir()}
    assert folders == {"same_second": {0}, "same_second_2": {1}, "same_second_3": {2}}


@pytest.mark.parametrize("more", [[], ["task=retrain", "genotype=darts_v2"], ["seed=1"]])
def test_a_finished_run_is_not_overwritten_and_stays_as_it_was(more, tmp_path, pretended, capsys):
    run = tmp_path / "run"
    assert main([*DATA, "seed=1", f"hydra.run.dir={run}"]) == 0
    before = snapshot(run)
    capsys.readouterr()
    assert main([*DATA, "seed=2", *more, f"hydra.run.dir={run}"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    for words in ("holds a run", "resume=true", "overwrite=true", str(run)):
        assert words in error
    assert snapshot(run) == before
    assert len(pretended) == 1


@pytest.mark.parametrize("wrong", ["search.layers=0", "imports=[no_such_module]", "resume=[1]"])
@pytest.mark.parametrize("key", ["resume=true", "overwrite=true"])
def test_a_refused_command_changes_nothing_of_the_run_it_names(key, wrong, tmp_path, pretended):
    run = tmp_path / "run"
    assert main([*DATA, "seed=1", f"hydra.run.dir={run}"]) == 0
    before = {name: content for name, (_, content) in snapshot(run).items()}
    assert main([*DATA, "seed=2", key, wrong, f"hydra.run.dir={run}"]) == 2
    assert {name: content for name, (_, content) in snapshot(run).items()} == before
    assert sorted(path.name for path in run.iterdir()) == [
        *(".hydra", "README.md", "checkpoints", "report.html", "run.json", "summary.json", "warnings.json")
    ]


def test_overwrite_leaves_nothing_of_the_old_run_and_no_foreign_file_is_touched(tmp_path, pretended):
    run = tmp_path / "run"
    assert main([*DATA, "seed=1", f"hydra.run.dir={run}"]) == 0
    for name in ("alphas.npz", "search/metrics.csv", "retrain/checkpoints/previous.ckpt", "wandb/id", ".7.alphas.npz"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("old")
    foreign = ["notes.md", "checkpoints/mine.ckpt", "retrain/figure.png", "data/table.csv"]
    for name in foreign:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("mine")
    assert main([*DATA, "seed=2", "overwrite=true", f"hydra.run.dir={run}"]) == 0
    assert seeds(run) == {2}
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and ".hydra" not in path.parts}
    written = ("README.md", "report.html", "run.json", "warnings.json", "summary.json", "checkpoints/last.ckpt")
    assert files == {*foreign, *written}
    assert all((run / name).read_text() == "mine" for name in foreign)


def test_overwrite_does_not_replace_what_the_command_reads(tmp_path, pretended, capsys):
    run = tmp_path / "run"
    assert main([*DATA, "seed=1", f"hydra.run.dir={run}"]) == 0
    before = snapshot(run)
    for key in (f"run={run}", f"genotype={run}", f"checkpoint={run / 'checkpoints' / 'last.ckpt'}"):
        assert main([*DATA, "task=test", key, "overwrite=true", f"hydra.run.dir={run}"]) == 2
        assert "overwrite=true replaces" in capsys.readouterr().err
    assert snapshot(run) == before


def test_a_live_run_is_neither_resumed_nor_replaced_and_its_folder_is_free_after_a_kill(tmp_path):
    first = start(tmp_path, *DATA, "seed=1", "hydra.run.dir=run")
    begin(tmp_path, first)
    before = snapshot(tmp_path / "run")
    others = [
        start(tmp_path, *DATA, "seed=2", "hydra.run.dir=run", key)
        for key in ("resume=true", "overwrite=true", "seed=5")
    ]
    for other in others:
        error = other.communicate(timeout=60)[1]
        assert other.returncode == 2
        assert f"run: in use by process {first.pid}" in error
    assert snapshot(tmp_path / "run") == before
    first.kill()
    first.communicate()
    third = start(tmp_path, *DATA, "seed=1", "hydra.run.dir=run", "resume=true")
    assert finish(tmp_path, third)[0][0] == 0
    assert seeds(tmp_path / "run") == {1}


def test_the_other_processes_of_a_run_do_not_claim_its_folder_again(tmp_path, pretended, monkeypatch):
    first = start(tmp_path, *DATA, "seed=1", "hydra.run.dir=run")
    begin(tmp_path, first)
    monkeypatch.chdir(tmp_path)
    slurm = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_PROCID": "1"}
    for variables in ({"LOCAL_RANK": "1"}, {"RANK": "3"}, slurm):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            assert main([*DATA, "seed=1", "hydra.run.dir=run", "hydra.output_subdir=null"]) == 0
    assert len(pretended) == 3
    assert finish(tmp_path, first)[0][0] == 0


@pytest.mark.parametrize("given", [True, False])
def test_sweeps_have_a_folder_each(given, tmp_path):
    where = ["hydra.sweep.dir=sweep"] if given else []
    processes = [start(tmp_path, "-m", *DATA, f"seed={seed}", *where) for seed in (1, 2)]
    begin(tmp_path, *processes)
    ended = finish(tmp_path, *processes)
    found = [seeds(path.parent) for path in tmp_path.glob("**/summary.json")]
    if given:
        assert sorted(status for status, _ in ended) == [0, 2]
        assert any("sweep: in use by process" in error for _, error in ended)
        assert len(found) == 1
        third = start(tmp_path, "-m", *DATA, "seed=3", *where)
        ((status, error),) = finish(tmp_path, third)
        assert status == 2
        assert "sweep: holds a sweep; add resume=true to continue it, overwrite=true" in error
    else:
        assert [status for status, _ in ended] == [0, 0]
        assert sorted(map(sorted, found)) == [[1], [2]]
        assert len(list((tmp_path / "multirun" / "search").iterdir())) == 2
