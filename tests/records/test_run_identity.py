"""Which settings make a run another one, also against checkpoints that lack newer settings."""

import pytest

from darts_pl.config import upgrade_stored
from darts_pl.records import difference, settings_of


def resolved(kind="images", **data):
    return {
        "debug": False,
        "seed": 0,
        "search": {"epochs": 2},
        "train": {"epochs": 3},
        "data": {"kind": kind, "path": "here", "workers": None, "layout": "auto", "split_seed": 0, **data},
        "hardware": {"precision": "32-true"},
    }


def old(settings):
    """As a version wrote them that knew no splits."""
    return {key: value for key, value in settings.items() if not key.startswith(("data.split", "data.layout"))}


@pytest.mark.parametrize(
    ("kind", "split", "expected"),
    [
        ("images", "index", None),
        ("images", "stratified", "data.split=index, and not data.split=stratified"),
        ("photos", "stratified", None),
        ("photos", "index", "data.split=stratified, and not data.split=index"),
    ],
)
def test_a_search_without_a_stated_split_is_of_the_split_that_there_was(kind, split, expected):
    now = settings_of(resolved(kind, split=split), "seed", "search", "data")
    assert difference(upgrade_stored(old(now), now), now) == expected


def test_another_split_seed_is_another_search():
    one, two = (settings_of(resolved(split="index", split_seed=seed), "seed", "search", "data") for seed in (0, 1))
    assert difference(one, two) == "data.split_seed=0, and not data.split_seed=1"
    assert difference(upgrade_stored(old(one), two), two) == "data.split_seed=0, and not data.split_seed=1"


def test_a_training_from_scratch_reads_no_halves():
    one, two = (
        settings_of(resolved(split=split, split_seed=seed), "seed", "train", "data", genotype="g")
        for split, seed in (("index", 0), ("stratified", 5))
    )
    assert difference(one, two) is None
    assert difference(upgrade_stored(old(one), two), two) is None


@pytest.mark.parametrize("key", ["path", "workers", "layout"])
def test_where_data_lie_and_how_they_are_read_may_change(key):
    one, two = (
        settings_of(
            resolved(split="index") | {"data": {"kind": "images", "split": "index", key: value}}, "search", "data"
        )
        for value in ("this", "that")
    )
    assert difference(one, two) is None


def test_two_names_of_one_kind_of_data_are_the_same_run():
    before = {"data.name": "imagenet", "data.size": 64}
    assert difference(before, {"data.name": "image_folder", "data.size": 64}) is None
    assert difference(before, {"data.name": "npz", "data.size": 64}) == "data.name=imagenet, and not data.name=npz"
