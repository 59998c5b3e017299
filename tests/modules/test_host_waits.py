"""Between two checks of a run, no step makes the host wait for the device.

A read of a tensor's value is such a wait: `.item()`, `.tolist()`, `bool(...)`, sizes that depend on values. There is
no GPU here; a dispatch mode stands for it, which refuses what would wait.
"""

import pytest
import pytorch_lightning as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.workloads import CLASSES, cnn_search, images, rnn_search, words
from darts_pl.bilevel import ORDERS, AlphaRecipe, WeightRecipe
from darts_pl.data import BatchLoader
from darts_pl.modules import ClassificationScores, ClassifierModule, ClassifierRecipe, LanguageScores, SearchModule
from darts_pl.spaces import Classifier
from darts_pl.zoo import published

SEARCHES = {
    "cnn": (lambda: cnn_search(channels=2, layers=3, batch=4, side=8, both=False).ours.supernet, ClassificationScores),
    "rnn": (lambda: rnn_search(units=5, vocabulary=CLASSES, batch=3, length=4, both=False).ours.supernet, None),
}


class WaitError(Exception):
    """The host would wait for the device."""


class RefuseWaits(TorchDispatchMode):
    """Raises WaitError where the host reads a tensor; `allowed` gives the addresses of those that are there."""

    WAITS = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero", "aten::masked_select", "aten::equal")

    def __init__(self, allowed=list):
        super().__init__()
        self.allowed = allowed

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().partition(".")[0]
        if name in self.WAITS and args[0].data_ptr() not in self.allowed():
            raise WaitError(name)
        return func(*args, **(kwargs or {}))


class Same:
    """One batch as the batches of an epoch."""

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return 3

    def __call__(self, epoch, index, /):
        return self.batch


class Watched:
    """Steps of a LightningModule that must not wait."""

    steps = 0

    def training_step(self, batch, batch_idx):
        with RefuseWaits(self.counters):
            result = super().training_step(batch, batch_idx)
        self.steps += 1
        return result

    def counters(self):
        """Adam counts its steps in tensors that are on the host, wherever the parameters are."""
        states = [state for one in self.trainer.optimizers for state in one.state.values()]
        return [state["step"].data_ptr() for state in states if "step" in state]


class WatchedSearch(Watched, SearchModule):
    """A search."""


class WatchedTraining(Watched, ClassifierModule):
    """A training."""


def fit(module, batch, tmp_path):
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
        inference_mode=False,
    )
    trainer.fit(module, train_dataloaders=BatchLoader(Same(batch)))
    assert module.steps == 3


@pytest.mark.filterwarnings("ignore:.*no `val_dataloader`.*")
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_step_does_not_wait_for_the_device(name, order, tmp_path):
    make, scores = SEARCHES[name]
    batches = [images(4, 8, "cpu") if name == "cnn" else words(4, 3, CLASSES, "cpu") for _ in range(2)]
    module = WatchedSearch(
        make(),
        order=ORDERS.get(order)(),
        weights=WeightRecipe(0.025, 0.001, 0.9, 3e-4, 5.0, epochs=1),
        alphas=AlphaRecipe(3e-4, (0.5, 0.999), 1e-3),
        radius=0.01,
        scores=LanguageScores if scores is None else lambda: scores(CLASSES),
    )
    fit(module, {"train": batches[0], "valid": batches[1]}, tmp_path)


@pytest.mark.filterwarnings("ignore:.*no `val_dataloader`.*")
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_a_training_step_does_not_wait_for_the_device(tmp_path):
    network = Classifier(published("darts_v2"), init_channels=4, layers=4, classes=CLASSES, auxiliary=True)
    recipe = ClassifierRecipe(0.025, 0.0, 0.9, 3e-4, epochs=1, drop_path=0.2, auxiliary_weight=0.4)
    fit(WatchedTraining(network, recipe, CLASSES), images(4, 32, "cpu"), tmp_path)


@pytest.mark.parametrize("read", [lambda x: x.item(), lambda x: bool(x > 0), lambda x: x.unsqueeze(0).nonzero()])
def test_the_mode_refuses_what_waits(read):
    with pytest.raises(WaitError), RefuseWaits():
        read(torch.ones(()))
