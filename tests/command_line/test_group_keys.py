"""A key that the chosen groups do not have: which choice has it, and what a run that is read or continued has."""

from __future__ import annotations

import pytest
import yaml

from darts_pl.cli import main
from tests.sweeps.conftest import put_in_place_of_tasks


@pytest.fixture
def photo_run(tmp_path):
    """What a training on photos leaves, as far as its choices go."""
    folder = tmp_path / "photo_run" / ".hydra"
    folder.mkdir(parents=True)
    choices = {"data": "image_folder", "train": "darts_imagenet", "task": "retrain"}
    (folder / "hydra.yaml").write_text(yaml.safe_dump({"hydra": {"runtime": {"choices": choices}}}))
    (folder.parent / "metrics.csv").write_text("epoch\n")
    return folder.parent


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data.size=64"], ["data.size", "not a key of data=cifar10", "data=image_folder, data=imagenet"]),
        (["data.resize=64", "data=digits"], ["not a key of data=digits", "data=image_folder, data=imagenet"]),
        (["search.units=5"], ["not a key of search=cnn", "search=rnn: choose it"]),
        (["search.layers=5", "search=rnn", "data=pydocs"], ["not a key of search=rnn", "search=cnn"]),
        (["train.cutout=0", "data=ptb"], ["not a key of train=darts_rnn", "train=darts"]),
        (["data.sise=64"], ["did you mean data.size, which needs data=image_folder or data=imagenet?"]),
        (["data.sise=64", "data=imagenet"], ["did you mean data.size?"]),
        (["logger.wandb.mode=offline"], ["needs logger=wandb"]),
    ],
)
def test_a_key_of_another_choice_names_the_choice(arguments, words, tmp_path, capsys):
    assert main([*arguments, f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert all(word in error for word in words), error


@pytest.mark.parametrize("key", ["data.size=64", "data.resize=80", "train.lr_decay=0.5"])
def test_a_key_of_the_run_that_is_read_is_taken(key, photo_run, tmp_path, monkeypatch):
    calls = put_in_place_of_tasks(monkeypatch, lambda context: {})
    arguments = ["task=test", f"run={photo_run}", "data.path=x", "data.size=64", key]
    assert main([*arguments, f"hydra.run.dir={tmp_path / 'out'}"]) == 0
    assert calls[0].config.data.name == "image_folder"
    assert calls[0].config.data.size == 64


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["task=test", "run={run}", "data.crop_padding=2"],
            ["data.crop_padding: belongs to", "has data=image_folder; leave it out"],
        ),
        (["hydra.run.dir={run}", "resume=true", "data.size=64"], ["has data=image_folder: add data=image_folder"]),
        (["task=test", "run={run}", "train.units=2"], ["has train=darts_imagenet; leave it out"]),
    ],
)
def test_a_key_is_checked_against_the_choices_of_the_run(arguments, words, photo_run, capsys):
    assert main([argument.format(run=photo_run) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert all(word in error for word in words), error


@pytest.mark.parametrize("path", ["photos", "/data/my photos (2)", "/data/größe=1, it's [x]"])
@pytest.mark.parametrize("given", [["data.size=64"], ["data.resize=80", "data.size=64"], ["data=image_folder"]])
def test_the_path_of_the_data_comes_from_the_run_that_is_read(path, given, photo_run, tmp_path, monkeypatch):
    (photo_run / ".hydra" / "config.yaml").write_text(yaml.safe_dump({"data": {"path": path}}), encoding="utf-8")
    calls = put_in_place_of_tasks(monkeypatch, lambda context: {})
    assert main(["task=test", f"run={photo_run}", *given, f"hydra.run.dir={tmp_path / 'out'}"]) == 0
    assert calls[0].config.data.path == path


def test_other_data_than_those_of_the_run_do_not_get_its_path(photo_run, tmp_path, capsys):
    (photo_run / ".hydra" / "config.yaml").write_text(yaml.safe_dump({"data": {"path": "photos"}}))
    assert main(["task=test", f"run={photo_run}", "data=npz", f"hydra.run.dir={tmp_path / 'out'}"]) == 2
    assert capsys.readouterr().err == "error: data.path is missing; give data.path=...\n"
