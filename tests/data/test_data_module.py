"""The data modules: the halves of a search, the untouched test split, life under a Trainer."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from darts_pl.data import ImageArrays, ImageSettings, Loading, RetrainImages, SearchImages
from darts_pl.errors import UserError


def arrays(train=40, test=12, channels=1, classes=4):
    """Images whose grey value tells where they stand: training image n is n, test image n is 200 + n."""

    def images(numbers):
        return np.broadcast_to(numbers[:, None, None, None], (len(numbers), 8, 8, channels)).astype(np.uint8)

    return ImageArrays(
        x_train=images(np.arange(train)),
        y_train=np.arange(train) % classes,
        x_test=images(200 + np.arange(test)),
        y_test=np.arange(test) % classes,
        class_names=tuple("abcdefgh"[:classes]),
    )


def settings(**changes):
    plain = {"name": "own", "path": None, "batch_size": None, "stem": "cifar", "eval_batch_size": 16}
    plain |= {
        "crop_padding": 0,
        "flip": False,
        "split": "index",
        "split_seed": 0,
        "test_fraction": 0.2,
        "layout": "auto",
    }
    return ImageSettings(**{"mean": [0.0], "std": [1.0], **plain, **changes})


def loading(**changes):
    return Loading(**{"batch_size": 8, "seed": 0, "train_portion": 0.5, **changes})


def numbers(batch):
    """Which images a batch holds."""
    return (batch[0][:, 0, 0, 0] * 255).round().long().tolist()


def as_rank(rank, world_size, module):
    module.trainer = SimpleNamespace(
        global_rank=rank, world_size=world_size, strategy=SimpleNamespace(root_device=torch.device("cpu"))
    )
    return module


def test_a_search_splits_the_training_images_by_index():
    module = SearchImages(arrays(), settings(), loading(train_portion=0.6))
    loader = module.train_dataloader()
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert sorted(n for batch in batches for n in numbers(batch["train"])) == list(range(24))
    assert {n for batch in batches for n in numbers(batch["valid"])} == set(range(24, 40))
    in_order = [n for batch in module.val_dataloader() for n in numbers(batch)]
    assert in_order == list(range(24, 40))


def test_labels_belong_to_their_images_in_every_loader():
    search = SearchImages(arrays(), settings(), loading())
    retrain = RetrainImages(arrays(), settings(), loading())
    pairs = [half for batch in search.train_dataloader() for half in batch.values()]
    for batch in [*pairs, *search.val_dataloader(), *retrain.train_dataloader()]:
        assert [n % 4 for n in numbers(batch)] == batch[1].tolist()
    for batch in retrain.test_dataloader():
        assert [(n - 200) % 4 for n in numbers(batch)] == batch[1].tolist()


def test_a_search_neither_keeps_nor_yields_the_test_split():
    images = arrays()
    test_images, test_labels = weakref.ref(images.x_test), weakref.ref(images.y_test)
    module = SearchImages(images, settings(), loading())
    del images
    gc.collect()
    assert test_images() is None
    assert test_labels() is None
    with pytest.raises(MisconfigurationException, match="test_dataloader"):
        module.test_dataloader()
    seen = [numbers(half) for batch in module.train_dataloader() for half in batch.values()]
    seen += [numbers(batch) for batch in module.val_dataloader()]
    assert max(n for batch in seen for n in batch) < 40


def test_other_test_images_change_nothing_about_a_search():
    images, other = arrays(), arrays(test=3)
    other.x_test[:] = 77
    ours = SearchImages(images, settings(mean=None, std=None), loading())
    theirs = SearchImages(other, settings(mean=None, std=None), loading())
    for left, right in zip(ours.train_dataloader(), theirs.train_dataloader(), strict=True):
        for half in ("train", "valid"):
            assert torch.equal(left[half][0], right[half][0])


def test_a_retraining_reads_the_whole_training_split_and_scores_the_test_split_in_order():
    module = RetrainImages(arrays(), settings(), loading())
    assert sorted(n for batch in module.train_dataloader() for n in numbers(batch)) == list(range(40))
    assert [n for batch in module.test_dataloader() for n in numbers(batch)] == list(range(200, 212))


def test_measured_statistics_normalise_the_training_split():
    rng = np.random.default_rng(0)
    images = ImageArrays(
        x_train=rng.integers(0, 200, (64, 8, 8, 3)).astype(np.uint8),
        y_train=np.arange(64) % 2,
        x_test=rng.integers(0, 200, (4, 8, 8, 3)).astype(np.uint8),
        y_test=np.arange(4) % 2,
        class_names=("a", "b"),
    )
    module = RetrainImages(images, settings(mean=None, std=None), loading())
    x = torch.cat([batch[0] for batch in module.train_dataloader()])
    assert torch.allclose(x.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(x.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("purpose", [SearchImages, RetrainImages])
def test_two_ranks_see_disjoint_shares_that_make_up_the_joint_batches(purpose):
    ranks = [as_rank(rank, 2, purpose(arrays(43), settings(), loading(batch_size=4))) for rank in range(2)]
    single = purpose(arrays(43), settings(), loading(batch_size=8))

    def halves(batch):
        return list(batch.values()) if isinstance(batch, dict) else [batch]

    loaders = [module.train_dataloader() for module in (*ranks, single)]
    assert len({len(loader) for loader in loaders}) == 1
    for first, second, joint in zip(*loaders, strict=True):
        for one, two, both in zip(halves(first), halves(second), halves(joint), strict=True):
            assert len(numbers(one)) == len(numbers(two))
            assert (numbers(one) + numbers(two)) == numbers(both)[: len(numbers(one)) * 2]
    if purpose is SearchImages:
        shares = [[n for batch in module.val_dataloader() for n in numbers(batch)] for module in ranks]
        assert sorted(shares[0] + shares[1]) == list(range(21, 43))


def sizes(module):
    """Images in every batch of an epoch; a pair of halves has those of both."""
    batches = [list(batch.values()) if isinstance(batch, dict) else [batch] for batch in module.train_dataloader()]
    return [[len(numbers(half)) for half in halves] for halves in batches]


@pytest.mark.parametrize("purpose", [SearchImages, RetrainImages])
def test_a_last_batch_of_one_image_is_left_out_only_where_two_are_needed(purpose):
    halves = 2 if purpose is SearchImages else 1
    images = arrays(41 * halves)
    assert sizes(purpose(images, settings(), loading())) == [[8] * halves] * 5 + [[1] * halves]
    assert sizes(purpose(images, settings(), loading(min_batch_size=2))) == [[8] * halves] * 5
    assert sizes(purpose(arrays(42 * halves), settings(), loading(min_batch_size=2))) == [[8] * halves] * 5 + [
        [2] * halves
    ]
    assert sizes(purpose(arrays(40 * halves), settings(), loading(min_batch_size=2))) == [[8] * halves] * 5
    # Under ranks their shares count: of three images each of two ranks would get one.
    rank = as_rank(0, 2, purpose(arrays(43 * halves), settings(), loading(batch_size=4, min_batch_size=2)))
    assert sizes(rank) == [[4] * halves] * 5


def test_another_image_is_left_out_in_every_epoch():
    loader = RetrainImages(arrays(41), settings(), loading(min_batch_size=2)).train_dataloader()
    left_out = set()
    for epoch in range(20):
        loader.sampler.set_epoch(epoch)
        left_out |= set(range(41)) - {n for batch in loader for n in numbers(batch)}
    assert len(left_out) > 10


BAD_SETTINGS = {
    "^data.eval_batch_size=-1: must be at least 1$": {"eval_batch_size": -1},
    "^data.crop_padding=-1: must be at least 0$": {"crop_padding": -1},
    "^data.split=random: must be one of stratified, index$": {"split": "random"},
    "^data.split_seed=-1: must be 0 to 4294967295$": {"split_seed": -1},
    "^data.layout=chw: must be one of auto, nhwc, nchw$": {"layout": "chw"},
    r"^data.std=\[0.0\]: must be one number above 0 per channel": {"std": [0.0]},
    r"^data.mean=\[0.5, 0.5, 0.5\]: the images of images have 1 channel$": {"mean": [0.5, 0.5, 0.5]},
}

BAD_LOADING = {
    "^batch_size=0: must be at least 1$": {"batch_size": 0},
    "^train_portion=0: must be above 0, below 1$": {"train_portion": 0},
    "^train_portion=1.0: must be above 0, below 1$": {"train_portion": 1.0},
    "^train_portion=nan: must be above 0, below 1$": {"train_portion": float("nan")},
    "^cutout=-2: must be at least 0$": {"cutout": -2},
    "batch_size=21 is more than the 20 images of the train half .search.train_portion=0.5 of 40.; lower it to 20": {
        "batch_size": 21
    },
    "^data.batch_size=21 is more": {"batch_size": 21, "batch_size_key": "data.batch_size"},
    "^search.batch_size=1: must be at least 2 here: BatchNorm": {
        "batch_size": 1,
        "min_batch_size": 2,
        "batch_size_key": "search.batch_size",
    },
    "batch_size=8 is more than the 4 images of the valid half": {"train_portion": 0.9},
    "^search.train_portion=0.01: the train half of 40 images would be empty$": {"train_portion": 0.01},
}


@pytest.mark.parametrize("expected", BAD_SETTINGS)
def test_a_senseless_setting_is_refused_with_its_value(expected):
    with pytest.raises(UserError, match=expected):
        SearchImages(arrays(), settings(**BAD_SETTINGS[expected]), loading())


@pytest.mark.parametrize("expected", BAD_LOADING)
def test_what_a_task_says_of_batches_is_refused_with_its_value(expected):
    with pytest.raises(UserError, match=expected):
        SearchImages(arrays(), settings(), loading(**BAD_LOADING[expected]))


def test_a_joint_batch_larger_than_the_split_is_refused_under_several_ranks():
    module = as_rank(1, 4, RetrainImages(arrays(), settings(), loading(batch_size=11)))
    with pytest.raises(UserError, match=r"batch_size=11 in each of 4 processes is more than the 40 .*10 or less"):
        module.train_dataloader()
    module = as_rank(1, 16, RetrainImages(arrays(), settings(), loading(batch_size=1)))
    with pytest.raises(UserError, match="12 images cannot be evaluated by 16 processes"):
        module.test_dataloader()


class Recorder(pl.LightningModule):
    """Trains next to nothing, with two optimizers as a search has, and notes what it was given."""

    def __init__(self, stop_at=None, path=None):
        super().__init__()
        self.automatic_optimization = False
        self.weight, self.alpha = torch.nn.Parameter(torch.ones(())), torch.nn.Parameter(torch.ones(()))
        self.seen, self.validated, self.tested = [], [], []
        self.stop_at, self.path = stop_at, path

    def training_step(self, batch, batch_index):
        halves = batch if isinstance(batch, dict) else {"train": batch}
        self.seen.append((self.current_epoch, batch_index, {half: numbers(halves[half]) for half in halves}))
        for optimizer, parameter in zip(self.optimizers(), (self.weight, self.alpha), strict=True):
            optimizer.zero_grad()
            self.manual_backward(parameter**2)
            optimizer.step()

    def on_train_batch_end(self, outputs, batch, batch_index):
        if (self.current_epoch, batch_index) == self.stop_at:
            self.trainer.save_checkpoint(self.path, weights_only=False)

    def on_train_epoch_end(self):
        if (self.current_epoch, None) == self.stop_at:
            self.trainer.save_checkpoint(self.path, weights_only=False)

    def test_step(self, batch, batch_index):
        self.tested += numbers(batch)

    def configure_optimizers(self):
        return [torch.optim.SGD([self.weight], lr=0.1), torch.optim.SGD([self.alpha], lr=0.1)]


class ValidatedRecorder(Recorder):
    """As a search's module: with a validation step."""

    def validation_step(self, batch, batch_index):
        self.validated.append(numbers(batch))


def trainer(epochs):
    return pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=1,
    )


@pytest.mark.parametrize("purpose", [SearchImages, RetrainImages])
def test_a_trainer_asks_for_every_epoch_in_turn(purpose):
    recorder = ValidatedRecorder() if purpose is SearchImages else Recorder()
    trainer(3).fit(recorder, datamodule=purpose(arrays(), settings(), loading()))
    loader = purpose(arrays(), settings(), loading()).train_dataloader()
    expected = []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        for index, batch in enumerate(loader):
            halves = batch if isinstance(batch, dict) else {"train": batch}
            expected.append((epoch, index, {half: numbers(halves[half]) for half in halves}))
    assert recorder.seen == expected
    assert bool(recorder.validated) == (purpose is SearchImages)


def test_a_trainer_tests_the_test_split_once_and_in_order():
    recorder = Recorder()
    trainer(1).test(recorder, datamodule=RetrainImages(arrays(), settings(), loading()), verbose=False)
    assert recorder.tested == list(range(200, 212))


@pytest.mark.parametrize("purpose", [SearchImages, RetrainImages])
@pytest.mark.parametrize("stop_at", [(0, 0), (0, 2), (1, 1), (1, 2), (0, None), (1, None)])
def test_a_checkpoint_is_continued_with_the_next_batch(stop_at, purpose, tmp_path):
    recorder = ValidatedRecorder if purpose is SearchImages else Recorder
    whole = recorder(stop_at, tmp_path / "last.ckpt")
    trainer(4).fit(whole, datamodule=purpose(arrays(), settings(), loading()))
    resumed = recorder()
    trainer(4).fit(
        resumed,
        datamodule=purpose(arrays(), settings(), loading()),
        ckpt_path=str(tmp_path / "last.ckpt"),
        weights_only=True,
    )
    epoch, batch = stop_at
    done = sum((seen[0], seen[1]) <= (epoch, 99 if batch is None else batch) for seen in whole.seen)
    assert resumed.seen == whole.seen[done:]
    assert torch.equal(resumed.weight, whole.weight)
