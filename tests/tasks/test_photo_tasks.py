"""Searching and training on photos in folders, from the command line."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tasks.conftest import finished

SMALL = ["data.size=16", "data.resize=20", "data.workers=0", "data.batch_size=6"]
NETWORK = ["train.layers=1", "train.init_channels=2", "train.epochs=1", "train.auxiliary_weight=0"]


@pytest.mark.parametrize("name", ["imagenet", pytest.param("image_folder", marks=pytest.mark.slow)])
def test_photos_bring_their_recipe_and_stem_and_train_a_network(name, photos, tmp_path, summary_of):
    command = ["task=retrain", "genotype=darts_v1", f"data={name}", f"data.path={photos}", "preset=none"]
    command += [*SMALL, *NETWORK]
    summary = summary_of(tmp_path / "run", *command)
    assert (summary["data"], summary["height"], summary["width"], summary["channels"]) == (name, 16, 16, 3)
    assert summary["multiply_adds"] > 0
    config = (tmp_path / "run" / ".hydra" / "config.yaml").read_text()
    assert "schedule: exponential" in config
    assert "stem: imagenet" in config
    # The crop stays that of the run where the command names the same data, and only who reads them differs.
    same = ["task=test", f"run={tmp_path / 'run'}", f"data={name}", f"data.path={photos}", "data.workers=0"]
    assert summary_of(tmp_path / "test", *same)["test/loss"] == summary["test/loss"]
    again = summary_of(tmp_path / "again", *command)
    assert again["test/loss"] == summary["test/loss"]
    assert again["retrain/train_loss"] == summary["retrain/train_loss"]


def test_a_cell_is_searched_on_a_share_of_the_photos(photos, tmp_path, summary_of):
    command = ["search=cnn", "order=first", "data=imagenet", f"data.path={photos}", *SMALL, "data.batch_size=3"]
    command += ["search.layers=3", "search.init_channels=2", "search.epochs=1", "search.nodes=2", "data.fraction=0.5"]
    command += ["search.candidates=[none,skip_connect,max_pool_3x3]"]
    summary = summary_of(tmp_path / "run", *command)
    assert summary["batches"] == 2  # 24 photos, half of them, in two halves, three a batch
    assert "search/valid_accuracy" in summary


@pytest.fixture
def spoilt(photos, tmp_path):
    return shutil.copytree(photos, tmp_path / "spoilt")


def test_folders_that_cannot_be_used_are_refused(spoilt, refused):
    command = ["task=retrain", "genotype=darts_v1", "data=imagenet", *SMALL, *NETWORK]
    here = [*command, f"data.path={spoilt}"]
    for photo in (spoilt / "val" / "dark").iterdir():
        photo.unlink()
    assert "val/dark/ holds no photo" in refused(*here)
    shutil.rmtree(spoilt / "train")
    assert "train/ is missing" in refused(*here)
    shutil.rmtree(spoilt / "val")
    assert "has no folder of photos for each class" in refused(*here)
    assert "no such folder" in refused(*command, f"data.path={spoilt / 'nowhere'}")
    assert "data.path is missing" in refused(*command)


@pytest.mark.parametrize("most", [0, 5_000])
def test_a_truncated_jpeg_is_named_and_left_out_where_there_are_few_photos(most, spoilt, refused, monkeypatch, capsys):
    monkeypatch.setattr("darts_pl.data.photos.intact.MOST_PHOTOS", most)
    victim = spoilt / "val" / "dark" / "2.jpg"
    victim.write_bytes(victim.read_bytes()[:300])
    command = ["task=retrain", "genotype=darts_v1", "data=imagenet", f"data.path={spoilt}", *SMALL, *NETWORK]
    if most:
        finished(spoilt.parent / "run", *command)
        shown = capsys.readouterr()
        assert f"WARNING: {victim}: not a readable photo (" in shown.out + shown.err
    else:
        assert str(victim) in refused(*command)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.resize=12", ["data.resize=12", "data.size=16"]),
        ("data.fraction=0", ["data.fraction=0"]),
        ("data.color_jitter=[0.4,0.4]", ["data.color_jitter", "hue"]),
        ("data.mean=[0.5]", ["data.mean", "3 channels"]),
        ("data.batch_size=25", ["batch_size=25", "24 photos"]),
        ("train.stem=vit", ["train.stem=vit", "imagenet"]),
        ("train.schedule=step", ["train.schedule=step", "cosine"]),
        ("train.ema=1", ["train.ema=1"]),
        ("train.accumulate=0", ["train.accumulate=0"]),
        ("train.label_smoothing=1", ["train.label_smoothing=1"]),
        ("data.crop_padding=4", ["data.crop_padding"]),
    ],
)
def test_senseless_settings_are_refused(override, words, photos, refused):
    command = ["task=retrain", "genotype=darts_v1", "data=imagenet", f"data.path={photos}", *SMALL, *NETWORK]
    message = refused(*command, override)
    assert all(word in message for word in words), message


def processes_of(group):
    """How many processes of that group are there, but for those that have ended."""
    found = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended just now
            continue
        found += int(process_group) == group and state != "Z"
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_to_all_processes_of_a_run_lets_it_save_and_leaves_no_worker(number, photos, tmp_path):
    command = [sys.executable, "run.py", "task=retrain", "genotype=darts_v1", "data=imagenet", f"data.path={photos}"]
    command += [*SMALL, *NETWORK, "train.epochs=5000", "data.workers=2", f"hydra.run.dir={tmp_path}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        assert any(re.match(r"retrain +1/", line) for line in run.stdout)  # after what the run is
        assert processes_of(run.pid) == 3
        if number == signal.SIGKILL:  # the main process alone: nobody tells the workers
            run.send_signal(number)
        else:
            os.killpg(run.pid, number)
        assert run.wait(60) == (-9 if number == signal.SIGKILL else 128 + number)
    deadline = time.monotonic() + 20
    while processes_of(run.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(run.pid) == 0
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()
