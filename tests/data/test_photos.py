"""Photos in folders: what is found, how a file is read, and batches that do not depend on who reads them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from darts_pl.data import Loading, PhotoSettings, RetrainPhotos, SearchPhotos, photo_folders
from darts_pl.data.photos.reading import BrokenPhotoError, read_photo
from darts_pl.data.splits import stratified_order
from darts_pl.errors import UserError

CLASSES = ("ant", "bee", "cat")


def write(path, size=(40, 30), mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path):
    """Eight training and four test photos of each class."""
    for label, name in enumerate(CLASSES):
        for split, count in (("train", 8), ("val", 4)):
            for number in range(count):
                write(tmp_path / split / name / f"{number}.png", seed=100 * label + number)
    return tmp_path


def settings(**changes):
    """The section `data` and what a task says of batches, each with what of `changes` belongs to it."""
    loading = {"batch_size": 4, "seed": 0, "train_portion": 0.5}
    plain = {"name": "own", "path": None, "batch_size": None, "stem": "imagenet"}
    plain |= {"eval_batch_size": 5, "mean": [0.5] * 3, "std": [0.25] * 3, "fraction": 1.0, "size": 16, "resize": 20}
    plain |= {"crop_scale": 0.08, "flip": True, "color_jitter": [0.4, 0.4, 0.4, 0.2], "workers": 0}
    plain |= {"split": "stratified", "split_seed": 0}
    others = {key: changes.pop(key) for key in list(changes) if key in Loading.__dataclass_fields__}
    return PhotoSettings(**{**plain, **changes}), Loading(**{**loading, **others})


def test_the_photos_of_both_splits_are_found_by_class(folder):
    photos = photo_folders(str(folder))
    assert photos.class_names == CLASSES
    assert (len(photos.train), len(photos.test), photos.classes) == (24, 12, 3)
    for path, label in zip(photos.test.paths, photos.test.labels, strict=True):
        assert Path(path).parent == folder / "val" / CLASSES[label]


def test_how_many_photos_and_classes_there_are_is_said(folder, capsys):
    photo_folders(str(folder))
    assert capsys.readouterr().out == f"data.path={folder}: 24 photos in train/, 12 in val/, 3 classes\n"


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
    with pytest.raises(UserError, match=r"data\.path=.*train cannot be read \(Permission denied\)"):
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
