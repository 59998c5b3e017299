"""The halves of a search: which images they hold, whatever order these are stored in."""

import hashlib
import math

import numpy as np
import pytest
from sklearn.model_selection import StratifiedShuffleSplit

from darts_pl.data import ImageArrays, ImageSettings, Loading, RetrainImages, SearchImages, load
from darts_pl.data.splits import content_order, missing_classes, stratified_halves, stratified_order
from darts_pl.errors import UserError


def settings(**changes):
    plain = {"name": "own", "path": None, "batch_size": None, "stem": "cifar", "eval_batch_size": 64}
    plain |= {"crop_padding": 0, "flip": False, "mean": None, "std": None, "split": "stratified"}
    plain |= {"split_seed": 0, "test_fraction": 0.2, "layout": "auto"}
    return ImageSettings(**{**plain, **changes})


def images_of(counts, seed=0):
    """Different images of classes with so many each, sorted by class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 8, 8, 1)).astype(np.uint8)
    return pixels, labels


def arrays(counts=(20, 30, 10), order=None):
    pixels, labels = images_of(counts)
    order = np.arange(len(labels)) if order is None else order
    names = tuple(f"c{label}" for label in range(len(counts)))
    return ImageArrays(pixels[order], labels[order], pixels[:4], np.arange(4) % len(counts), names)


def halves(module):
    """Images and labels of the train half and of the valid half."""
    return [(half.images.numpy(), half.labels.numpy()) for half in module._halves()]


def rows(images):
    return {image.tobytes() for image in images}


def in_order(size, how):
    index = np.arange(size)
    if how == "reversed":
        return index[::-1]
    if how == "every other":
        return np.concatenate([index[::2], index[1::2]])
    return np.random.default_rng(5).permutation(size)


@pytest.mark.parametrize("how", ["reversed", "every other", "shuffled"])
def test_the_stored_order_changes_neither_halves_nor_batches(how):
    search = [
        SearchImages(arrays(order=order), settings(), Loading(8, 3, train_portion=0.5))
        for order in (None, in_order(60, how))
    ]
    for ours, theirs in zip(*(halves(module) for module in search), strict=True):
        assert np.array_equal(ours[0], theirs[0])
        assert np.array_equal(ours[1], theirs[1])
    for left, right in zip(*(module.train_dataloader() for module in search), strict=True):
        for half in ("train", "valid"):
            assert np.array_equal(left[half][0].numpy(), right[half][0].numpy())


@pytest.mark.parametrize("portion", [0.5, 0.3, 0.75])
@pytest.mark.parametrize("counts", [(20, 30, 10), (7, 5, 3), (50, 1, 1, 2), (1000, *[1] * 100)])
def test_every_class_is_divided_exactly_but_for_rounding(counts, portion):
    _, labels = images_of(counts)
    found = stratified_halves(labels, stratified_order(labels), portion)
    assert len(found.train) == int(portion * len(labels))
    assert sorted([*found.train, *found.valid]) == list(range(len(labels)))
    for count, here in zip(counts, np.bincount(labels[found.train], minlength=len(counts)), strict=True):
        assert math.floor(portion * count) <= here <= math.ceil(portion * count)


def test_the_numbers_per_class_are_those_of_scikit_learn():
    _, labels = images_of((60, 25, 15))
    found = stratified_halves(labels, stratified_order(labels), 0.6)
    theirs, _ = next(StratifiedShuffleSplit(1, train_size=0.6, random_state=0).split(labels, labels))
    assert np.bincount(labels[found.train]).tolist() == np.bincount(labels[theirs]).tolist() == [36, 15, 9]


def test_halves_are_others_with_another_split_seed_and_the_same_with_another_seed():
    def train_half(split_seed, seed):
        return rows(
            halves(SearchImages(arrays(), settings(split_seed=split_seed), Loading(8, seed, train_portion=0.5)))[0][0]
        )

    assert train_half(0, 0) == train_half(0, 1) == train_half(0, 17)
    assert train_half(1, 0) == train_half(1, 1)
    assert len({frozenset(train_half(split_seed, 0)) for split_seed in range(5)}) == 5


def test_images_that_are_stored_twice_and_with_two_labels_change_nothing():
    pixels, labels = images_of((6, 6))
    pixels, labels = np.concatenate([pixels, pixels]), np.concatenate([labels, 1 - labels])
    shuffled = np.random.default_rng(1).permutation(len(labels))
    one, other = content_order(pixels, labels), shuffled[content_order(pixels[shuffled], labels[shuffled])]
    assert np.array_equal(pixels[one], pixels[other])
    assert np.array_equal(labels[one], labels[other])


def test_content_is_ordered_by_its_blake2b_digest():
    pixels, labels = images_of((5, 4))
    digests = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in pixels]
    assert content_order(pixels, labels).tolist() == sorted(range(9), key=digests.__getitem__)


LACKING = {
    "sorted, by index": (
        (10, 10, 10, 10),
        "index",
        "data.split=index: the train half has no image of classes c2, c3; "
        "the valid half has no image of classes c0, c1; use data.split=stratified",
    ),
    "a class of one image": (
        (20, 20, 1),
        "stratified",
        "data.split=stratified: the train half has no image of class c2",
    ),
    "a class without an image": (
        (20, 0, 20),
        "stratified",
        "data.split=stratified: the train half has no image of class c1; the valid half has no image of class c1",
    ),
}


@pytest.mark.parametrize("case", LACKING)
def test_a_half_that_lacks_a_class_is_named_with_it(case, caplog):
    counts, split, expected = LACKING[case]
    SearchImages(arrays(counts), settings(split=split), Loading(4, 0, train_portion=0.5))
    assert [record.getMessage() for record in caplog.records] == [expected]


def test_halves_with_every_class_and_trainings_on_all_images_warn_of_nothing(caplog):
    SearchImages(arrays(), settings(), Loading(8, 0, train_portion=0.5))
    SearchImages(arrays(order=in_order(60, "shuffled")), settings(split="index"), Loading(8, 0, train_portion=0.5))
    RetrainImages(arrays(), settings(split="index"), Loading(8, 0))
    assert not caplog.records


def test_many_missing_classes_are_counted():
    text = missing_classes([str(label) for label in range(30)], [("train half", np.array([3]))])
    assert text == "the train half has no image of classes 0, 1, 2, 4, 5, 6, 7, 8, 9, 10 and 19 more"


@pytest.mark.parametrize("portion", [0.001, 0.01])
def test_an_empty_half_is_refused(portion):
    message = rf"^search\.train_portion={portion}: the train half of 60 images would be empty$"
    with pytest.raises(UserError, match=message):
        SearchImages(arrays(), settings(), Loading(1, 0, train_portion=portion))


#: Of the pixels and labels of four batches, recorded before there was a choice of splits.
RECORDED = {0: "62e2a27a74c9fd4e", 3: "86a387cc2530d940"}


def test_digits_by_index_give_the_recorded_batches():
    def digest(seed):
        data = settings(split="index", mean=[0.0], std=[1.0], crop_padding=1)
        batches = SearchImages(load("digits"), data, Loading(64, seed, train_portion=0.5)).train_dataloader()
        found = hashlib.blake2b(digest_size=8)
        for batch, _ in zip(batches, range(4), strict=False):
            for half in ("train", "valid"):
                found.update((batch[half][0] * 255).round().byte().contiguous().numpy().tobytes())
                found.update(batch[half][1].numpy().tobytes())
        return found.hexdigest()

    assert {seed: digest(seed) for seed in RECORDED} == RECORDED
