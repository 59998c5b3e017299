"""The registry of image sources, and the sources that need no file of the user's."""

import importlib.util
import urllib.error

import numpy as np
import pytest
import sklearn.datasets
import torchvision.datasets

from darts_pl.data import IMAGE_SOURCES, ImageArrays, list_sources, load, register_source
from darts_pl.errors import UserError


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"'cifar11'; did you mean 'cifar10'\? known: .*cifar10.*npz"):
        load("cifar11")


def test_a_decorated_function_is_a_new_source(monkeypatch):
    monkeypatch.setattr(IMAGE_SOURCES, "_items", dict(IMAGE_SOURCES._items))

    @register_source("stripes")
    def stripes(path):
        pixels, labels = np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 1, 0, 1])
        return ImageArrays(pixels, labels, pixels, labels, ("across", "down"), origin=f"stripes of {path}")

    assert "stripes" in list_sources()
    assert load("stripes", "here").origin == "stripes of here"


def test_digits_are_scikit_learns_split_evenly_by_class_and_the_same_every_time():
    first, second = load("digits"), load("digits")
    assert (first.height, first.width, first.channels, first.classes) == (8, 8, 1, 10)
    assert first.x_train.dtype == np.uint8
    assert first.x_train.max() == 255
    bunch = sklearn.datasets.load_digits()
    ours = np.concatenate([first.x_train, first.x_test])[..., 0] * (16 / 255)
    assert len(ours) == 1797

    def sort(pixels):
        return np.sort(np.rint(pixels).astype(np.int64).reshape(1797, 64) @ (np.arange(64) ** 3 + 1))

    assert np.array_equal(sort(ours), sort(bunch.images))
    share = np.bincount(first.y_test) / np.bincount(np.concatenate([first.y_train, first.y_test]))
    assert np.abs(share - 0.2).max() < 0.006
    for field in ("x_train", "y_train", "x_test", "y_test"):
        assert np.array_equal(getattr(first, field), getattr(second, field))


def test_digits_are_the_same_where_their_file_lies_elsewhere(monkeypatch):
    expected = load("digits")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = load("digits")
    for field in ("x_train", "y_train", "x_test", "y_test"):
        assert np.array_equal(getattr(found, field), getattr(expected, field))


class StandInCifar:
    """Like a torchvision CIFAR set whose files are in place."""

    url, filename = "https://example.org/cifar-10-python.tar.gz", "cifar-10-python.tar.gz"
    classes = ("cat", "dog")

    def __init__(self, root, train, download=False):
        self.root = root
        self.data = np.zeros((6 if train else 2, 32, 32, 3), np.uint8)
        self.targets = [0, 1] * (3 if train else 1)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_reads_torchvisions_arrays(name, monkeypatch, tmp_path):
    monkeypatch.setattr(torchvision.datasets, name.upper(), StandInCifar)
    arrays = load(name, str(tmp_path))
    assert arrays.x_train.shape == (6, 32, 32, 3)
    assert arrays.y_test.tolist() == [0, 1]
    assert arrays.y_test.dtype == np.int64
    assert arrays.class_names == ("cat", "dog")


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("File not found or corrupted.")])
def test_a_failing_download_says_which_file_to_put_where(error, monkeypatch, tmp_path):
    class Offline(StandInCifar):
        def __init__(self, root, train, download=False):
            raise error

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Offline)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError) as refusal:
        load("cifar10")
    message = str(refusal.value)
    assert Offline.filename in message
    assert Offline.url in message
    assert str(tmp_path / "darts_pl") in message
    assert message.count("\n") <= 2
