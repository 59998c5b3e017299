"""A run goes on with the data that it began with, and a network is scored on what it was trained for."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from darts_pl.cli import main
from darts_pl.data import describe, load

SEARCH = ["task=search", "order=first", "search.layers=3", "search.init_channels=2", "search.nodes=2", "debug=true"]
SEARCH += ["search.candidates=[none,skip_connect,max_pool_3x3]", "search.batch_size=8", "data=npz"]
TRAIN = ["task=retrain", "genotype=darts_v1", "debug=true", "train.layers=1", "train.init_channels=2"]
TRAIN += ["train.batch_size=8", "train.auxiliary_weight=0"]
SMALL = ["train.cutout=0"]
PHOTOS = ["data=image_folder", "data.size=16", "data.resize=20", "data.workers=0"]
TEXT = ["task=retrain", "genotype=darts_v2_rnn", "data=text", "debug=true", "train.units=6", "train.bptt=20"]
TEXT += ["train.batch_size=4", "data.test_batch_size=3"]


def write(path, images=60, seed=0, names=None, **changes):
    """An npz file with two classes, dark and bright."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", images), ("test", 12)):
        labels = np.arange(count) % 2
        arrays[f"x_{split}"] = (rng.integers(0, 100, (count, 8, 8, 1)) + 150 * labels[:, None, None, None]).astype("u1")
        arrays[f"y_{split}"] = labels
    if names is not None:
        arrays["class_names"] = np.array(names)
    np.savez(path, **{**arrays, **changes})
    return path


def write_photos(root, names, seed=0):
    rng = np.random.default_rng(seed)
    for split, count in (("train", 6), ("val", 4)):
        for name in names:
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(root / split / name / f"{number}.png")
    return root


def write_text(path, other="w3"):
    lines = [" ".join(f"w{(7 * line + place) % 20}" for place in range(6)) for line in range(60)]
    path.write_text("\n".join(lines).replace("w3", other), encoding="utf-8")
    return path


@pytest.fixture
def command(capsys):
    """Runs a command; returns its exit status and what it wrote to standard error."""

    def run(*arguments):
        capsys.readouterr()
        status = main(list(arguments))
        return status, capsys.readouterr().err

    return run


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The file and the folder of a search."""
    root = tmp_path_factory.mktemp("searched")
    file = write(root / "own.npz")
    assert main([*SEARCH, f"data.path={file}", f"hydra.run.dir={root / 'run'}"]) == 0
    return file, root / "run"


@pytest.fixture
def resumed(searched, tmp_path, command):
    """Resumes a copy of the search with other arguments."""
    folder = shutil.copytree(searched[1], tmp_path / "run")

    def run(*arguments):
        return command(*SEARCH, "resume=true", f"hydra.run.dir={folder}", *arguments)

    return run


def test_a_run_keeps_what_its_data_are(searched):
    file, folder = searched
    assert json.loads((folder / "data.json").read_text()) == describe(load("npz", str(file)))


OTHERS = {
    "another number of images": ({"images": 80}, "60 samples in the train split, now 80"),
    "other pixels": ({"seed": 1}, "other content or labels in the train split"),
    "other labels": ({"y_train": np.arange(60) // 2 % 2}, "other content or labels in the train split"),
    "other test images": ({"x_test": np.zeros((12, 8, 8, 1), np.uint8)}, "other content or labels in the test split"),
    "another size": (
        {"x_train": np.zeros((60, 9, 9, 1), np.uint8), "x_test": np.zeros((12, 9, 9, 1), np.uint8)},
        "height 8, now 9",
    ),
    "named classes": ({"names": ["dark", "bright"]}, "classes 0, 1, now dark, bright"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_run_is_not_continued_on_other_data(case, searched, resumed, tmp_path):
    changes, expected = OTHERS[case]
    other = write(tmp_path / "other.npz", **changes)
    status, error = resumed(f"data.path={other}")
    assert status == 2
    assert error.startswith(f"error: data.path={other}: not the data that the run in ")
    assert expected in error
    assert len(error.splitlines()) == 1


def test_a_run_is_continued_on_the_same_data_at_another_place(searched, resumed, tmp_path):
    before = json.loads((searched[1] / "summary.json").read_text())
    moved = shutil.copy(searched[0], tmp_path / "moved.npz")
    assert resumed(f"data.path={moved}") == (0, "")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["genotype"] == before["genotype"]


def test_a_run_that_began_before_data_were_kept_is_continued(searched, resumed, tmp_path):
    (tmp_path / "run" / "data.json").unlink()
    assert resumed(f"data.path={searched[0]}") == (0, "")
    stored = json.loads((tmp_path / "run" / "data.json").read_text())
    assert stored == json.loads((searched[1] / "data.json").read_text())


@pytest.mark.parametrize(
    ("split", "message"), [("index", ""), ("stratified", "data.split=index, and not data.split=stratified")]
)
def test_a_search_from_before_there_were_splits_goes_on_with_its_halves_only(
    split, message, searched, command, tmp_path
):
    there = [*SEARCH, f"data.path={searched[0]}", f"hydra.run.dir={tmp_path / 'run'}"]
    assert command(*there, "data.split=index")[0] == 0
    file = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    for key in ("data.split", "data.split_seed"):
        del checkpoint["settings"][key]
    torch.save(checkpoint, file)
    status, error = command(*there, "resume=true", f"data.split={split}")
    assert status == (2 if message else 0)
    assert message in error


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folders of trainings on images, named images, photos and text, each with a path of other data."""
    root = tmp_path_factory.mktemp("trained")
    write_photos(root / "pets", ("cat", "dog"))
    write_photos(root / "animals", ("horse", "zebra"))
    ours, theirs = np.array(["cat", "dog"]), np.array(["horse", "zebra"])
    runs = {
        "images": ([*TRAIN, *SMALL, "data=npz"], write(root / "a.npz"), write(root / "b.npz", seed=1)),
        "named": (
            [*TRAIN, *SMALL, "data=npz"],
            write(root / "c.npz", names=ours),
            write(root / "d.npz", seed=1, names=theirs),
        ),
        "photos": ([*TRAIN, *PHOTOS], root / "pets", root / "animals"),
        "text": (TEXT, write_text(root / "a.txt"), write_text(root / "b.txt", other="zebra")),
    }
    for name, (arguments, path, _) in runs.items():
        assert main([*arguments, f"data.path={path}", f"hydra.run.dir={root / name}"]) == 0
    return {name: (root / name, path, other) for name, (_, path, other) in runs.items()}


REASONS = {
    "images": "other content or labels in the test split",
    "named": "classes cat, dog, now horse, zebra",
    "photos": "classes cat, dog, now horse, zebra",
    "text": "other words (21, now 21)",
}


@pytest.mark.parametrize("task", [["task=test"], ["task=export", "format=pt2"]])
@pytest.mark.parametrize("kind", REASONS)
def test_a_network_is_not_scored_or_exported_for_data_that_it_was_not_trained_for(
    kind, task, trained, tmp_path, command
):
    folder, _, other = trained[kind]
    status, error = command(*task, f"run={folder}", f"data.path={other}", f"hydra.run.dir={tmp_path / 'refused'}")
    assert status == 2
    assert error.startswith(f"error: data.path={other}: not the data that the network in {folder} was trained for: ")
    assert REASONS[kind] in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("kind", ["images", "photos", "text"])
def test_a_network_scores_the_same_on_its_data_at_another_place(kind, trained, tmp_path, command):
    folder, path, _ = trained[kind]
    moved = tmp_path / f"moved{path.suffix}"
    (shutil.copytree if path.is_dir() else shutil.copy)(path, moved)
    status, error = command("task=test", f"run={folder}", f"data.path={moved}", f"hydra.run.dir={tmp_path / 'test'}")
    assert (status, error) == (0, "")
    before, after = (json.loads((place / "summary.json").read_text()) for place in (folder, tmp_path / "test"))
    assert after["test/loss"] == before["test/loss"]


def test_new_test_images_of_the_same_named_classes_are_scored_with_a_warning(trained, tmp_path, command):
    folder = trained["named"][0]
    new = write(tmp_path / "new.npz", seed=2, names=["cat", "dog"])
    status, error = command("task=test", f"run={folder}", f"data.path={new}", f"hydra.run.dir={tmp_path / 'test'}")
    assert status == 0
    expected = f"WARNING: data.path={new}: not the test split of the run in {folder}: other content or labels"
    assert error.startswith(expected)
    assert len(error.splitlines()) == 1


def test_a_bare_checkpoint_is_scored_on_any_data_of_its_shape(trained, tmp_path, command):
    folder, _, other = trained["images"]
    given = [f"checkpoint={folder / 'checkpoints' / 'last.ckpt'}", "genotype=darts_v1", "data=npz", "debug=true"]
    status, error = command("task=test", *given, f"data.path={other}", f"hydra.run.dir={tmp_path / 'test'}")
    assert (status, error) == (0, "")
