"""Checkpoints that are damaged, of another run, or do not fit on the disk; which run is meant by resume."""

import errno
import json
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from darts_pl.callbacks import LastCheckpoint
from darts_pl.cli import main

ROOT = Path(__file__).parents[2]
SMALL = ["data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=1", "search.batch_size=240"]
SMALL += ["search.candidates=[none,skip_connect,max_pool_3x3]", "search.epochs=3", "order=first"]


def run(folder, *arguments):
    return main([*SMALL, *arguments, f"hydra.run.dir={folder}"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder) == 0
    return folder


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory):
    """The folder of a search that was killed right after its second epoch's checkpoint."""

    class Killed(BaseException):
        pass

    save = LastCheckpoint.on_train_epoch_end

    def save_and_die(self, trainer, module):
        save(self, trainer, module)
        if trainer.current_epoch == 1:
            raise Killed

    folder = tmp_path_factory.mktemp("cut_off")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_epoch_end", save_and_die)
        with pytest.raises(Killed):
            run(folder / "run")
    return folder / "run"


@pytest.fixture
def stopped(cut_off, tmp_path):
    """A copy of it for one test."""
    return Path(shutil.copytree(cut_off, tmp_path / "run"))


def epoch(path):
    return torch.load(path, weights_only=True)["epoch"]


def alphas(folder):
    with np.load(folder / "alphas.npz") as values:
        return {name: array.tobytes() for name, array in values.items()}


def test_the_checkpoint_before_the_last_is_kept(stopped):
    assert [epoch(stopped / "checkpoints" / name) for name in ("previous.ckpt", "last.ckpt")] == [0, 1]
    assert sorted(path.name for path in (stopped / "checkpoints").iterdir()) == ["last.ckpt", "previous.ckpt"]


@pytest.mark.parametrize(
    "damage",
    ["truncated", "one bit", "missing", *(pytest.param(one, marks=pytest.mark.slow) for one in ("flipped", "empty"))],
)
def test_where_the_last_checkpoint_is_not_whole_the_one_before_is_continued_to_the_same_end(
    damage, stopped, whole, capsys
):
    last = stopped / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    if damage == "missing":
        last.unlink()
    elif damage == "flipped":
        content[100:200] = bytes(100)
        last.write_bytes(content)
    elif damage == "one bit":  # within the numbers of a tensor, which torch reads without a look at checksums
        with zipfile.ZipFile(last) as file:
            largest = max((part for part in file.infolist() if "/data/" in part.filename), key=lambda p: p.file_size)
        content[largest.header_offset + largest.file_size // 2 + 128] ^= 1
        last.write_bytes(content)
        assert epoch(last) == 1
    else:
        last.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")
    capsys.readouterr()
    assert run(stopped, "resume=true") == 0
    said = capsys.readouterr()
    assert "previous.ckpt" in said.out + said.err
    if damage != "missing":
        assert "last.ckpt: damaged" in said.out + said.err
    assert alphas(stopped) == alphas(whole)
    assert [epoch(stopped / "checkpoints" / name) for name in ("previous.ckpt", "last.ckpt")] == [1, 2]


def test_a_damaged_checkpoint_never_takes_the_place_of_the_whole_one_before_it(stopped, monkeypatch):
    (stopped / "checkpoints" / "last.ckpt").write_bytes(b"damaged")
    save, seen = LastCheckpoint.save, []

    def save_and_look(self, trainer):
        save(self, trainer)
        seen.append([epoch(stopped / "checkpoints" / name) for name in ("previous.ckpt", "last.ckpt")])

    monkeypatch.setattr(LastCheckpoint, "save", save_and_look)
    assert run(stopped, "resume=true") == 0
    assert seen == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed=7", "seed=0, and not seed=7"),
        ("order=second", "order.name=first, and not order.name=second"),
        ("search.alphas.lr=0.1", "search.alphas.lr=0.0003, and not search.alphas.lr=0.1"),
        ("data.flip=true", "data.flip=False, and not data.flip=True"),
        ("search.epochs=9", "search.epochs=3, and not search.epochs=9"),
        ("hardware.precision=64-true", "hardware.precision=32-true, and not hardware.precision=64-true"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_with_the_first_key_that_differs(change, said, stopped, capsys):
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file() and ".hydra" not in path.parts}
    capsys.readouterr()
    assert run(stopped, "resume=true", change) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "last.ckpt" in error
    assert all(path.read_bytes() == content for path, content in before.items())


def test_what_may_differ_does_not_keep_a_run_from_going_on(stopped, whole):
    assert run(stopped, "resume=true", "hardware.threads=1", "save_every=1", "data.path=null") == 0
    assert alphas(stopped) == alphas(whole)


def limited(folder, room, *arguments):
    """A command that may write no file larger than `room` bytes: what a full disk looks like to it."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    command = [sys.executable, str(ROOT / "run.py"), *SMALL, *arguments, f"hydra.run.dir={folder}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPYCACHEPREFIX": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, preexec_fn=limit, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_one_line_and_leaves_the_last_checkpoint_whole(stopped):
    checkpoints = stopped / "checkpoints"
    before = {path.name: path.read_bytes() for path in checkpoints.iterdir()}
    done = limited(stopped, 10_000, "resume=true")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "last.ckpt: not written" in done.stderr
    assert "resume=true" in done.stderr
    assert {path.name: path.read_bytes() for path in checkpoints.iterdir()} == before


def test_losses_that_are_not_finite_stop_the_search_and_point_at_the_checkpoint_before(stopped, capsys, monkeypatch):
    from darts_pl.modules import SearchModule

    step = SearchModule.step

    def spoil(self):
        sound = step(self)

        def spoiled(*arguments):
            result = sound(*arguments)
            if self.trainer.fit_loop.epoch_loop.batch_idx == 1:
                result = result._replace(train=result.train._replace(loss=result.train.loss * torch.nan))
            return result

        return spoiled

    monkeypatch.setattr(SearchModule, "step", spoil)
    before = (stopped / "checkpoints" / "last.ckpt").read_bytes()
    capsys.readouterr()
    assert run(stopped, "resume=true") == 2
    error = capsys.readouterr().err
    assert "diverged in epoch 3, step 2: the last finite step had train loss " in error
    assert ", valid loss " in error
    assert f"the checkpoint before it is {stopped / 'checkpoints' / 'last.ckpt'}" in error
    assert (stopped / "checkpoints" / "last.ckpt").read_bytes() == before


def test_resume_without_a_folder_is_refused_naming_the_newest_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "resume=true"]) == 2
    assert "there is none in outputs/search" in capsys.readouterr().err
    assert not list(tmp_path.glob("outputs/search/*"))  # a refused command leaves no folder
    for name in ("outputs/search/a", "outputs/search/b"):
        assert run(name, "search.epochs=1") == 0
    os.utime("outputs/search/a/checkpoints/last.ckpt", (2e9, 2e9))
    capsys.readouterr()
    assert main([*SMALL, "resume=true"]) == 2
    assert "resume=outputs/search/a" in capsys.readouterr().err


def test_resume_may_name_the_folder_itself(stopped, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "resume=run"]) == 0
    assert alphas(stopped) == alphas(whole)
    assert not (tmp_path / "outputs").exists()


def test_resume_of_a_folder_without_a_checkpoint_starts_there(tmp_path, whole, capsys):
    assert run(tmp_path / "new", "resume=true") == 0
    assert "starting from the beginning" in capsys.readouterr().out
    assert alphas(tmp_path / "new") == alphas(whole)
    json.loads((tmp_path / "new" / "summary.json").read_text())


def test_a_run_in_a_used_folder_does_not_keep_the_former_run_s_checkpoints(stopped):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert run(stopped, "search.epochs=1", "seed=3", "overwrite=true") == 0
    assert sorted(path.name for path in (stopped / "checkpoints").iterdir()) == ["last.ckpt"]


def test_resume_names_a_run_that_is_there_and_no_other_folder_beside_it(stopped, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "resume=rum"]) == 2
    assert "resume=rum: no run found" in capsys.readouterr().err
    assert not (tmp_path / "rum").exists()
    assert run(tmp_path / "other", "resume=run") == 2
    assert "resume=run and hydra.run.dir=other: give one of them" in capsys.readouterr().err


def test_one_job_of_slurm_does_not_overwrite_what_it_did(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("darts_pl.run_folder.job_name", lambda: "slurm_77")
    assert main([*SMALL, "search.epochs=1"]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "outputs").rglob("*.ckpt")}
    capsys.readouterr()
    assert main([*SMALL, "search.epochs=1", "seed=1"]) == 2
    assert "outputs/search/slurm_77: holds a run of this job" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert before
    assert main([*SMALL, "search.epochs=1", "resume=true"]) == 0


def test_a_checkpoint_needs_no_room_in_the_folder_for_temporary_files(tmp_path, monkeypatch):
    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkstemp", full)
    assert run(tmp_path / "run", "search.epochs=1") == 0
    assert epoch(tmp_path / "run" / "checkpoints" / "last.ckpt") == 0
