"""Batches as pure functions, their shares among ranks, and loaders that start anywhere."""

import itertools

import numpy as np
import pytest
import torch

from darts_pl.data import (
    Augmentation,
    AugmentedBatches,
    BatchLoader,
    IndexOrder,
    OrderedBatches,
    PairedBatches,
    ResidentImages,
    SequentialOrder,
)


def resident(size=40, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.integers(0, 256, (size, 8, 8, channels)).astype(np.uint8))
    return ResidentImages(images, torch.arange(size), (0.5,) * channels, (0.25,) * channels)


def augmented(size=40, batch_size=8, seed=0, stream="train", rank=0, world_size=1, cutout=4):
    order = IndexOrder(size, batch_size, seed, stream, rank, world_size)
    return AugmentedBatches(resident(size), order, Augmentation(crop_padding=2, flip=True, cutout=cutout))


def paired(train_size=40, valid_size=28):
    return PairedBatches(augmented(train_size), augmented(valid_size, stream="valid"))


def equal(left, right):
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return all(torch.equal(ours, theirs) for ours, theirs in zip(left, right, strict=True))


def test_a_batch_is_float32_channels_last_with_the_labels_of_its_images():
    x, y = augmented()(0, 1)
    assert x.shape == (8, 3, 8, 8)
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, augmented().sample_order.indices(0, 1))


def test_without_augmentation_a_batch_holds_the_normalised_images_of_its_indices():
    images = resident()
    order = IndexOrder(40, 8, 0, "train")
    x, y = AugmentedBatches(images, order, Augmentation(crop_padding=0, flip=False))(2, 3)
    expected = (images.images[y].permute(0, 3, 1, 2).double() / 255 - 0.5) / 0.25
    assert torch.allclose(x.double(), expected, atol=1e-6)


def test_a_batch_is_a_pure_function_of_seed_epoch_and_position():
    asked = list(itertools.product(range(3), range(5)))
    first = {key: augmented()(*key) for key in asked}
    batches = augmented()
    torch.manual_seed(7)
    for key in reversed(asked):
        torch.rand(5)
        assert equal(batches(*key), first[key])
    assert not equal(augmented(seed=1)(0, 0), first[0, 0])
    assert not equal(first[1, 0], first[0, 0])


def test_an_image_is_augmented_differently_in_every_epoch():
    batches = augmented(size=8, cutout=0)
    seen = set()
    for epoch in range(20):
        x, y = batches(epoch, 0)
        seen.add(x[y == 3].contiguous().numpy().tobytes())
    assert len(seen) > 10


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_together_see_the_pixels_of_one_process_with_the_joint_batch(ranks):
    single = augmented(size=44, batch_size=8)
    shares = [augmented(44, 8 // ranks, rank=rank, world_size=ranks) for rank in range(ranks)]
    assert len(shares[0]) == len(single)
    for i in range(len(single)):
        parts = [share(1, i) for share in shares]
        joint = tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))
        assert equal(joint, single(1, i))


def test_the_valid_half_is_reshuffled_at_each_of_its_own_rounds():
    batches = paired(train_size=40, valid_size=28)
    assert len(batches) == 5
    labels = [batches(epoch, i)["valid"][1] for epoch in range(4) for i in range(5)]
    rounds = [torch.cat(labels[start : start + 4]) for start in range(0, 20, 4)]
    for indices in rounds:
        assert torch.equal(indices.sort().values, torch.arange(28))
    for one, other in itertools.combinations(rounds, 2):
        assert not torch.equal(one, other)


def test_evaluation_batches_are_in_order_and_the_same_in_every_round():
    images = resident(10)
    batches = OrderedBatches(images, SequentialOrder(10, 4))
    assert [batches(0, i)[1].tolist() for i in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert equal(batches(0, 1), batches(5, 1))
    assert batches(0, 0)[0].is_contiguous(memory_format=torch.channels_last)


def test_parts_share_the_memory_of_the_whole_split():
    images = resident()
    part = images.part(10, 20)
    assert part.labels.tolist() == list(range(10, 20))
    assert part.images.untyped_storage().data_ptr() == images.images.untyped_storage().data_ptr()


@pytest.mark.parametrize("batch", [0, 1, 3, 5])
def test_a_loader_that_starts_at_a_batch_yields_the_identical_rest_once(batch):
    whole = BatchLoader(paired())
    whole.sampler.set_epoch(2)
    expected = list(whole)
    resumed = BatchLoader(paired())
    resumed.sampler.set_epoch(2)
    resumed.start_at(batch)
    rest = list(resumed)
    assert len(rest) == len(expected) - batch
    assert all(equal(ours, theirs) for ours, theirs in zip(rest, expected[batch:], strict=True))
    assert len(resumed) == len(list(resumed)) == 5


@pytest.mark.parametrize("handed_out", [1, 3, 5])
def test_the_state_of_a_loader_continues_behind_the_batch_handed_out_last(handed_out):
    loader = BatchLoader(paired())
    loader.sampler.set_epoch(1)
    iterator = iter(loader)
    for _ in range(handed_out):
        next(iterator)
    state = loader.state_dict()
    assert state == {"epoch": 1, "batch": handed_out}
    resumed = BatchLoader(paired())
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    resumed.sampler.set_epoch(1)
    assert all(equal(ours, theirs) for ours, theirs in zip(resumed, iterator, strict=True))


def test_a_state_from_the_end_of_an_epoch_does_not_shorten_the_next_one():
    loader = BatchLoader(paired())
    loader.load_state_dict({"epoch": 1, "batch": 3})
    loader.sampler.set_epoch(2)
    assert len(list(loader)) == 5


def test_the_epoch_may_be_set_after_the_iterator_was_made():
    early, late = BatchLoader(paired()), BatchLoader(paired())
    iterator = iter(late)
    late.sampler.set_epoch(3)
    early.sampler.set_epoch(3)
    assert equal(next(iterator), next(iter(early)))
