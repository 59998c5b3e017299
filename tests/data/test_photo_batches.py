"""Batches of photos do not depend on who reads them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from darts_pl.data import RetrainPhotos, SearchPhotos, photo_folders
from darts_pl.errors import UserError
from tests.data.photo_files import settings, write


def test_a_broken_photo_ends_a_run_with_its_name_and_the_remedy(folder):
    (folder / "train" / "bee" / "3.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(UserError, match=r"bee/3\.png: not a readable photo(.|\n)*repair or delete"):
        list(RetrainPhotos(photo_folders(str(folder)), *settings()).train_dataloader())


def test_batches_have_the_networks_size_whatever_the_photos_have(folder):
    write(folder / "train" / "ant" / "tiny.png", size=(5, 3))  # smaller than the crop: enlarged
    write(folder / "val" / "ant" / "tiny.png", size=(3, 9))
    write(folder / "train" / "ant" / "long.png", size=(300, 4))
    data = RetrainPhotos(photo_folders(str(folder)), *settings())
    for loader, photos in ((data.train_dataloader(), 26), (data.test_dataloader(), 13)):
        batches = list(loader)
        assert sum(len(y) for _, y in batches) == photos
        for x, y in batches:
            assert x.shape == (len(y), 3, 16, 16)
            assert x.dtype == torch.float32
            assert x.is_contiguous(memory_format=torch.channels_last)
            assert y.dtype == torch.int64


def test_a_test_photo_is_the_normalised_centre_of_the_resized_one(folder):
    photos = photo_folders(str(folder))
    x, y = next(iter(RetrainPhotos(photos, *settings()).test_dataloader()))
    with Image.open(photos.test.paths[0]) as first:  # 40x30: to 26x20, and of that the centre
        resized = np.asarray(first.resize((26, 20), Image.Resampling.BILINEAR))
    centre = resized[2:18, 5:21].transpose(2, 0, 1)
    torch.testing.assert_close(x[0], torch.tensor((centre / 255 - 0.5) / 0.25, dtype=torch.float32))
    assert y.tolist() == photos.test.labels[:5].tolist()


def same(one, other):
    assert len(one) == len(other)
    for (x, y), (other_x, other_y) in zip(one, other, strict=True):
        assert torch.equal(x, other_x)
        assert torch.equal(y, other_y)


def test_batches_are_functions_of_seed_and_epoch_and_leave_torchs_generator_alone(folder):
    photos = photo_folders(str(folder))

    def epochs(seed):
        loader = RetrainPhotos(photos, *settings(seed=seed)).train_dataloader()
        found = []
        for epoch in (0, 1):
            loader.sampler.set_epoch(epoch)
            found.append(list(loader))
        return found

    state = torch.get_rng_state()
    first, again, other = epochs(3), epochs(3), epochs(4)
    assert torch.equal(torch.get_rng_state(), state)
    for one, two in zip(first, again, strict=True):
        same(one, two)
    assert not torch.equal(first[0][0][0], first[1][0][0])
    assert not torch.equal(first[0][0][0], other[0][0][0])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_workers_read_the_same_batches_and_an_epoch_can_start_anywhere(folder):
    photos = photo_folders(str(folder))
    alone = RetrainPhotos(photos, *settings(cutout=6)).train_dataloader()
    data = RetrainPhotos(photos, *settings(cutout=6, workers=2))
    together = data.train_dataloader()
    for epoch in (0, 1):
        for loader in (alone, together):
            loader.sampler.set_epoch(epoch)
        same(list(alone), list(together))
    for loader in (alone, together):
        loader.sampler.set_epoch(0)
        loader.start_at(3)
    same(list(alone), list(together))
    data.teardown("fit")


def test_a_search_pairs_two_halves_that_hold_all_classes_and_validates_in_order(folder):
    data = SearchPhotos(photo_folders(str(folder)), *settings(batch_size=3, train_portion=0.5))
    train, valid = data._halves()
    assert not set(train.paths) & set(valid.paths)
    assert np.bincount(train.labels).tolist() == np.bincount(valid.labels).tolist() == [4, 4, 4]
    batches = list(data.train_dataloader())
    assert len(batches) == 4
    assert all(set(batch) == {"train", "valid"} for batch in batches)
    labels = [label for _, y in data.val_dataloader() for label in y.tolist()]
    assert labels == valid.labels.tolist()


@pytest.mark.parametrize("workers", [0, 1])
def test_two_ranks_score_whole_batches_of_photos_and_the_second_has_an_empty_one(folder, workers):
    def batches(rank, world_size):
        given = settings(batch_size=4, train_portion=0.5, mixed_scores=True, workers=workers)
        data = SearchPhotos(photo_folders(str(folder)), *given)
        device = SimpleNamespace(root_device=torch.device("cpu"))
        data.trainer = SimpleNamespace(global_rank=rank, world_size=world_size, strategy=device)
        found = list(data.val_dataloader())
        data.teardown("fit")
        return found

    alone = batches(0, 1)
    first, second = batches(0, 2), batches(1, 2)
    assert [len(y) for _, y in alone] == [4, 4, 4]
    assert [len(y) for _, y in second] == [4, 0]
    for (x, y), (same_x, same_y) in zip(alone, [first[0], second[0], first[1]], strict=True):
        assert torch.equal(x, same_x)
        assert torch.equal(y, same_y)


def test_a_share_of_the_photos_is_the_same_share_of_every_class(folder):
    data = SearchPhotos(photo_folders(str(folder)), *settings(batch_size=2, fraction=0.5))
    train, valid = data._halves()
    assert np.bincount(train.labels).tolist() == np.bincount(valid.labels).tolist() == [2, 2, 2]
    half = r"batch_size=7 is more than the 6 photos of the train half \(search.train_portion=0.5 of 12\); lower it to 6"
    with pytest.raises(UserError, match=half):
        SearchPhotos(photo_folders(str(folder)), *settings(batch_size=7, fraction=0.5))
    with pytest.raises(UserError, match="batch_size=25 is more than the 24 photos of the training split; lower it"):
        RetrainPhotos(photo_folders(str(folder)), *settings(batch_size=25))


def test_ranks_share_a_joint_batch_as_one_process_would_read_it(folder):
    photos = photo_folders(str(folder))

    def batches(rank, world_size, batch_size):
        data = RetrainPhotos(photos, *settings(batch_size=batch_size, cutout=4))
        data.trainer = SimpleNamespace(
            global_rank=rank, world_size=world_size, strategy=SimpleNamespace(root_device=torch.device("cpu"))
        )
        return list(data.train_dataloader())

    for one, two, joint in zip(batches(0, 2, 4), batches(1, 2, 4), batches(0, 1, 8), strict=True):
        assert torch.equal(torch.cat([one[0], two[0]]), joint[0])
        assert torch.equal(torch.cat([one[1], two[1]]), joint[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_last_batch_of_one_photo_is_left_out_where_two_are_needed_and_nothing_else_changes(folder, workers):
    photos = photo_folders(str(folder))
    whole = RetrainPhotos(photos, *settings(batch_size=23)).train_dataloader()
    data = RetrainPhotos(photos, *settings(batch_size=23, min_batch_size=2, workers=workers))
    shorter = data.train_dataloader()
    for epoch in (0, 1, 2):
        for loader in (whole, shorter):
            loader.sampler.set_epoch(epoch)
        both = list(whole), list(shorter)
        assert [len(y) for _, y in both[0]] == [23, 1]
        same(both[0][:1], both[1])
    data.teardown("fit")
    with pytest.raises(UserError, match=r"^train\.batch_size=1: must be at least 2"):
        settings(batch_size=1, min_batch_size=2, batch_size_key="train.batch_size")
