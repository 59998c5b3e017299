"""What a data set is: equal for equal content anywhere, and a line that names what differs."""

import json
import re
import shutil
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from darts_pl.data import (
    Corpus,
    ImageArrays,
    describe,
    difference,
    load,
    load_corpus,
    misfit,
    other_test,
    photo_folders,
)
from darts_pl.data.identity import checksum


def images(classes=("cat", "dog"), channels=3, seed=0, train=8, test=4):
    rng = np.random.default_rng(seed)

    def pixels(count):
        return rng.integers(0, 256, (count, 8, 8, channels)).astype(np.uint8)

    return ImageArrays(pixels(train), np.arange(train) % 2, pixels(test), np.arange(test) % 2, classes)


def changed(data, field):
    """The same with the last entry of one array changed."""
    array = getattr(data, field).copy()
    array.flat[-1] ^= 1
    return replace(data, **{field: array})


@pytest.fixture
def photos(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for label, name in enumerate(("cat", "dog")):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.full((9, 9, 3), 40 * number + label, np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.bmp")  # all of one size in bytes
    return tmp_path / "photos"


def corpus(words=("the", "cat", "end"), last=2):
    return Corpus("own", words, torch.arange(3), torch.arange(3), torch.tensor([0, 1, last]))


def test_an_identity_is_counts_shapes_names_and_checksums_that_json_keeps():
    found = describe(images())
    assert json.loads(json.dumps(found)) == found
    assert (found["classes"], found["channels"], found["height"], found["width"]) == (["cat", "dog"], 3, 8, 8)
    assert (found["train"]["count"], found["test"]["count"]) == (8, 4)
    text = describe(corpus())
    assert json.loads(json.dumps(text)) == text
    assert (text["words"], text["train"]["count"]) == (3, 3)


def test_the_same_content_elsewhere_is_the_same(tmp_path, photos):
    first, second = (tmp_path / name for name in ("a.npz", "b.npz"))
    data = images()
    arrays = {key: getattr(data, key) for key in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(first, **arrays)
    np.savez_compressed(second, **arrays)
    assert difference(describe(load("npz", str(first))), describe(load("npz", str(second)))) is None
    shutil.copytree(photos, tmp_path / "moved")
    assert difference(describe(photo_folders(str(photos))), describe(photo_folders(str(tmp_path / "moved")))) is None
    lines = "".join(f"line {number}\n" for number in range(20))
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(lines, encoding="utf-8")
    texts = [load_corpus("text", str(tmp_path / name)) for name in ("one.txt", "two.txt")]
    assert difference(*map(describe, texts)) is None


IMAGES = {
    "a pixel of the training split": (
        lambda data: changed(data, "x_train"),
        "^other content or labels in the train split",
    ),
    "a label of the training split": (
        lambda data: changed(data, "y_train"),
        "^other content or labels in the train split",
    ),
    "a pixel of the test split": (lambda data: changed(data, "x_test"), "^other content or labels in the test split"),
    "the number of images": (lambda data: images(train=10), "^8 samples in the train split, now 10$"),
    "the classes": (lambda data: images(("horse", "zebra")), "^classes cat, dog, now horse, zebra$"),
    "the channels": (lambda data: images(channels=1), "^channels 3, now 1$"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_what_differs_between_images_is_named(case):
    change, expected = IMAGES[case]
    found = difference(describe(images()), describe(change(images())))
    assert found is not None
    assert re.search(expected, found)


PHOTOS = {
    "the content of a photo": (
        lambda root: Image.new("RGB", (9, 9), "red").save(root / "train/cat/1.bmp"),
        "train split",
    ),
    "a photo under another name": (lambda root: (root / "val/dog/1.bmp").rename(root / "val/dog/9.bmp"), "test split"),
    "one photo fewer": (lambda root: (root / "train/dog/2.bmp").unlink(), "6 samples in the train split, now 5"),
}


@pytest.mark.parametrize("case", PHOTOS)
def test_what_differs_between_photos_is_named(case, photos):
    change, expected = PHOTOS[case]
    before = describe(photo_folders(str(photos)))
    change(photos)
    found = difference(before, describe(photo_folders(str(photos))))
    assert found is not None
    assert expected in found


TEXTS = {
    "a word": (corpus(("the", "dog", "end")), "other words (3, now 3)"),
    "the order of words": (corpus(("cat", "the", "end")), "other words"),
    "a token of the test": (corpus(last=0), "other content or labels in the test split"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_what_differs_between_texts_is_named(case):
    other, expected = TEXTS[case]
    found = difference(describe(corpus()), describe(other))
    assert found is not None
    assert expected in found


def test_a_network_may_be_scored_on_other_samples_of_its_named_classes_only():
    stored = describe(images())
    new_photos = describe(images(seed=1, test=6))
    assert misfit(stored, new_photos) is None
    assert other_test(stored, new_photos) == "4 samples in the test split, now 6"
    assert other_test(stored, stored) is None
    assert misfit(stored, describe(images(("dog", "cat")))) == "classes cat, dog, now dog, cat"
    assert misfit(stored, describe(images(channels=1))) == "channels 3, now 1"
    # Two files of unnamed classes may be cats and dogs in one, zebras and horses in the other.
    numbers = describe(images(("0", "1")))
    assert misfit(numbers, describe(images(("0", "1"), test=6))) == "4 samples in the test split, now 6"
    assert misfit(numbers, describe(changed(images(("0", "1")), "x_train"))) is None
    assert misfit(describe(corpus()), describe(corpus(("the", "dog", "end")))) == "other words (3, now 3)"
    assert misfit(describe(corpus()), describe(corpus(last=0))) is None
    assert misfit(stored, describe(corpus())) == "kind images, now text"


def test_the_place_of_a_renamed_class_among_many_is_named():
    names = tuple(f"class {letter}" for letter in "abcdef")
    other = (*names[:4], "zebra", names[5])
    one, two = ({"kind": "images", "classes": list(classes)} for classes in (names, other))
    assert difference(one, two) == "class 4 class e, now zebra"


def test_checksums_tell_parts_apart_and_find_every_flipped_bit_that_crc32_finds():
    assert checksum("ab", "c") != checksum("a", "bc")
    data = np.arange(64, dtype=np.uint8)
    found = {checksum(data)}
    crc = {zlib.crc32(data)}
    for bit in range(512):
        flipped = data.copy()
        flipped[bit // 8] ^= 1 << bit % 8
        found.add(checksum(flipped))
        crc.add(zlib.crc32(flipped))
    assert len(found) == len(crc) == 513


def test_a_value_that_an_older_file_lacks_is_not_compared():
    stored = {key: value for key, value in describe(images()).items() if key != "height"}
    assert difference(stored, describe(images())) is None
