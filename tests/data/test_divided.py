"""Data without a test split: a folder of classes, a file with images and labels alone."""

import numpy as np
import pytest
from PIL import Image

from darts_pl.data import npz, photo_folders
from darts_pl.data.splits import hold_out
from darts_pl.errors import UserError
from tests.data.photo_files import write
from tests.data.sixty_photos import CLASSES, DAMAGED, write_sixty_photos


@pytest.fixture(scope="module")
def sixty(tmp_path_factory):
    return write_sixty_photos(tmp_path_factory.mktemp("sixty"), side=48)


def relative(photos, root):
    return [path.removeprefix(f"{root}/") for path in photos.paths]


def test_a_plain_folder_is_divided_class_by_class_and_two_lines_say_so(sixty, capsys, monkeypatch):
    monkeypatch.chdir(sixty.parent)
    photos = photo_folders(sixty.name)
    assert photos.class_names == CLASSES
    assert np.bincount(photos.train.labels).tolist() == [16, 16, 16]
    assert np.bincount(photos.test.labels).tolist() == [4, 4, 4]
    assert {*photos.train.paths} | {*photos.test.paths} == {
        str(path.relative_to(sixty.parent)) for path in sixty.glob("*/*")
    }
    assert not {*photos.train.paths} & {*photos.test.paths}
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 100
    assert " ".join(said.split()) == (
        f"data.path={sixty.name}: 60 photos, 3 classes; 48 photos for training, 12 for testing "
        "(every class in proportion; data.test_fraction=0.2, data.split_seed=0)"
    )


def test_the_seed_alone_decides_which_photos_are_for_testing(sixty):
    first, again, other = (photo_folders(str(sixty), split_seed=seed).test.paths for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_damaged_photos_are_named_and_left_out(sixty, caplog):
    photos = photo_folders(str(sixty), leaves_out_damaged=True)
    assert len(photos.train) + len(photos.test) == 59
    assert DAMAGED not in relative(photos.train, sixty) + relative(photos.test, sixty)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{sixty / DAMAGED}: not a readable photo (")
    assert line.endswith("; it is left out")


def test_a_class_of_damaged_photos_alone_is_refused(tmp_path):
    for name in ("good", "bad"):
        for number in range(2):
            write(tmp_path / name / f"{number}.png")
    for photo in (tmp_path / "bad").iterdir():
        photo.write_bytes(b"no photo")
    with pytest.raises(UserError, match=r"every photo of the class 'bad' in .* is damaged"):
        photo_folders(str(tmp_path), leaves_out_damaged=True)


@pytest.mark.parametrize("test", ["val", "test"])
def test_train_with_val_or_test_are_used_as_they_are(tmp_path, capsys, test):
    for split, count in (("train", 3), (test, 2)):
        for name in ("a", "b"):
            for number in range(count):
                write(tmp_path / split / name / f"{number}.png")
    photos = photo_folders(str(tmp_path))
    assert (len(photos.train), len(photos.test)) == (6, 4)
    assert capsys.readouterr().out.split() == (
        f"data.path={tmp_path}: 6 photos in train/, 4 in {test}/, 2 classes".split()
    )


def test_val_is_the_test_split_where_test_is_there_too(tmp_path, capsys):
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for name in ("a", "b"):
            for number in range(count):
                write(tmp_path / split / name / f"{number}.png")
    assert len(photo_folders(str(tmp_path)).test) == 4
    said = " ".join(capsys.readouterr().out.split())
    assert f"data.path={tmp_path}: val/ is the test split; test/ is not read" in said


def test_a_class_with_one_photo_is_refused(tmp_path):
    for name, count in (("a", 4), ("b", 1)):
        for number in range(count):
            write(tmp_path / name / f"{number}.png")
    with pytest.raises(UserError, match="the class 'b' has one photo, which cannot be both in"):
        photo_folders(str(tmp_path))


@pytest.mark.parametrize(
    ("counts", "fraction", "expected"), [((10, 10), 0.2, (2, 2)), ((2, 9), 0.2, (1, 2)), ((2, 50), 0.9, (1, 45))]
)
def test_each_class_gives_its_fraction_rounded_and_keeps_one_on_both_sides(counts, fraction, expected):
    labels = np.repeat([0, 1], counts)
    train, test = hold_out(labels, np.arange(len(labels)), fraction, 0, ("a", "b"))
    assert tuple(np.bincount(labels[test])) == expected
    assert sorted([*train, *test]) == list(range(len(labels)))


@pytest.mark.parametrize("keys", [("x", "y"), ("x_train", "y_train")])
def test_a_file_with_images_and_labels_alone_is_divided(tmp_path, capsys, keys):
    images = np.random.default_rng(0).integers(0, 256, (30, 9, 8, 3), dtype=np.uint8)
    labels = np.arange(30) % 3
    file = tmp_path / "own.npz"
    np.savez(file, **dict(zip(keys, (images, labels), strict=True)))
    found = npz(str(file))
    assert np.bincount(found.y_train).tolist() == [8, 8, 8]
    assert np.bincount(found.y_test).tolist() == [2, 2, 2]
    both = np.concatenate([found.x_train, found.x_test])
    assert sorted(image.tobytes() for image in both) == sorted(image.tobytes() for image in images)
    assert "30 images, 3 classes; 24 images for training, 6 for testing" in " ".join(capsys.readouterr().out.split())


def test_the_order_in_which_images_are_stored_does_not_matter(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 9, 8), dtype=np.uint8)
    labels = np.arange(30) % 3
    shuffle = np.random.default_rng(1).permutation(30)
    found = []
    for name, order in (("a", np.arange(30)), ("b", shuffle)):
        np.savez(tmp_path / f"{name}.npz", x=images[order], y=labels[order])
        found.append(npz(str(tmp_path / f"{name}.npz")))
    assert np.array_equal(found[0].x_test, found[1].x_test)
    assert np.array_equal(found[0].y_test, found[1].y_test)


def test_the_sixty_photos_are_what_their_names_promise(sixty):
    modes = set()
    for path in sixty.glob("*/*"):
        with Image.open(path) as photo:
            modes.add(photo.mode)
            if path.name == "Foto 5.JPG":
                assert photo.getexif()[0x0112] == 6
    assert modes == {"RGB", "RGBA", "L"}
