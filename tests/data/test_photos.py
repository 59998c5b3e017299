"""Photos in folders: what is found, how a file is read, and how photos are split."""

from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import ImageFolder

from darts_pl.data import SearchPhotos, photo_folders
from darts_pl.data.photos.reading import BrokenPhotoError, read_photo
from darts_pl.data.splits import stratified_order
from darts_pl.errors import UserError
from tests.data.photo_files import CLASSES, settings, write


def test_the_photos_of_both_splits_are_found_by_class(folder):
    photos = photo_folders(str(folder))
    assert photos.class_names == CLASSES
    assert (len(photos.train), len(photos.test), photos.classes) == (24, 12, 3)
    for path, label in zip(photos.test.paths, photos.test.labels, strict=True):
        assert Path(path).parent == folder / "val" / CLASSES[label]


def test_how_many_photos_and_classes_there_are_is_said(folder, capsys):
    photo_folders(str(folder))
    said = " ".join(capsys.readouterr().out.split())
    assert said == f"data.path={folder}: 24 photos in train/, 12 in val/, 3 classes"


@pytest.mark.parametrize("place", ["{split}", "{split}/bee", "{split}/bee/deeper"])
@pytest.mark.parametrize("splits", [("train",), ("val",), ("train", "val")])
def test_folders_and_files_that_begin_with_a_dot_are_passed_over(folder, place, splits, caplog):
    before = photo_folders(str(folder))
    for split in splits:
        here = folder / place.format(split=split)
        write(here / ".ipynb_checkpoints" / "0-checkpoint.png")
        (here / "._0.png").write_bytes(b"no photo")
        (here / ".DS_Store").write_bytes(b"")
    after = photo_folders(str(folder))
    assert (after.train.paths, after.test.paths, after.class_names) == (
        before.train.paths,
        before.test.paths,
        before.class_names,
    )
    assert not caplog.records


def test_photos_in_subfolders_are_found_in_torchvisions_order(folder):
    for name in ("b/x", "b.x", "B", "a"):
        write(folder / "train" / "bee" / name / "0.png")
    found = photo_folders(str(folder)).train
    theirs = ImageFolder(str(folder / "train")).samples
    assert list(zip(found.paths, found.labels.tolist(), strict=True)) == theirs


def test_files_that_are_no_photos_are_counted_by_their_ending(folder, caplog):
    names = ["a.heic", "b.HEIC", "c.gif", "d.txt", "e", "f.heic"]
    for name in names:
        (folder / "train" / "bee" / name).write_bytes(b"")
    (folder / "val" / "cat" / "g.gif").write_bytes(b"")
    (folder / "val" / "README.md").write_bytes(b"")
    photo_folders(str(folder))
    (line,) = [record.getMessage() for record in caplog.records]
    counted = "3 .heic, 2 .gif, 1 .txt, 1 outside the class folders, 1 without an ending"
    assert line.startswith(f"data.path={folder}: 8 files were not read ({counted}); photos end in .jpg, .jpeg, ")


def test_a_class_whose_files_are_no_photos_says_what_they_are(folder):
    for photo in (folder / "val" / "bee").iterdir():
        photo.rename(photo.with_suffix(".heic"))
    with pytest.raises(UserError, match=r"val/bee/ holds no photo \(only 4 \.heic\)"):
        photo_folders(str(folder))


def spoil(folder, how):
    if how == "train":
        (folder / "train").rename(folder / "elsewhere")
    if how == "val":
        (folder / "val").rename(folder / "elsewhere")
    if how == "empty":
        for photo in (folder / "train" / "bee").iterdir():
            photo.unlink()
        (folder / "train" / "bee" / "notes.txt").write_text("no photo")
    if how == "other":
        (folder / "val" / "bee").rename(folder / "val" / "bumblebee")
    if how == "flat":
        for name in CLASSES:
            (folder / "train" / name).rename(folder / name)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("train", "train/ is missing"),
        ("val", "val/ is missing"),
        ("empty", "class folder train/bee/ holds no photo"),
        ("other", "class 'bee' is in train/ but not in val/"),
        ("flat", "train/ has no folder of photos for each class"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_with_its_name(folder, how, message):
    spoil(folder, how)
    with pytest.raises(UserError, match=message) as caught:
        photo_folders(str(folder))
    assert str(folder) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize("path", [None, "/no/such/folder"])
def test_a_missing_folder_is_refused(path):
    with pytest.raises(UserError, match="no such folder"):
        photo_folders(path)


def test_a_folder_that_cannot_be_read_is_refused_with_its_name(folder, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(UserError, match=r"data\.path=.* cannot be read \(Permission denied\)"):
        photo_folders(str(folder))


def test_every_prefix_of_the_stratified_order_holds_all_classes_in_proportion():
    labels = np.repeat([0, 1, 2], [50, 100, 10])
    order = stratified_order(labels)
    assert sorted(order) == list(range(160))
    for size in (16, 40, 80, 120):
        counts = np.bincount(labels[order[:size]], minlength=3)
        assert np.abs(counts - size / 160 * np.array([50, 100, 10])).max() <= 1
    assert not np.array_equal(order[labels[order] == 0], np.arange(50))


def test_a_truncated_missing_or_foreign_file_is_named(tmp_path):
    write(tmp_path / "whole.jpg", size=(200, 200))
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.png").write_text("no photo")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("half.jpg", "text.png", "empty.png", "none.png"):
        with pytest.raises(BrokenPhotoError, match=name):
            read_photo(str(tmp_path / name))


@pytest.mark.parametrize("split_seed", [0, 1, 2])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_halves_of_photos_hold_all_classes_and_depend_on_the_split_seed_only(folder, share, split_seed):
    photos = photo_folders(str(folder))

    def halves(seed, split_seed=split_seed):
        given = settings(batch_size=2, fraction=share, seed=seed, split_seed=split_seed)
        return [half.paths for half in SearchPhotos(photos, *given)._halves()]

    each = int(4 * share)
    for half in halves(0):
        assert [sum(f"/{name}/" in path for path in half) for name in CLASSES] == [each] * 3
    assert halves(0) == halves(5)
    assert {*halves(0)[0], *halves(0)[1]} == {*halves(0, 9)[0], *halves(0, 9)[1]}
    assert set(halves(0)[0]) != set(halves(0, split_seed + 1)[0])


def test_halves_of_photos_by_index_follow_the_names_and_tell_what_they_lack(folder, caplog):
    photos = photo_folders(str(folder))
    train, valid = SearchPhotos(photos, *settings(split="index"))._halves()
    assert train.paths + valid.paths == photos.train.paths
    assert len(train) == len(valid) == 12
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "data.split=index: the train half has no photo of class cat; "
        "the valid half has no photo of class ant; use data.split=stratified"
    )
