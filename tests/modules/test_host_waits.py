"""Between two checks of a run, no step makes the host wait for the device.

A read of a tensor's value is such a wait: `.item()`, `.tolist()`, `bool(...)`, sizes that depend on values, a mask as
an index. So is a copy between the host and the device. There is no GPU here. One dispatch mode stands for it, which
refuses what reads values; another refuses copies, with the network on torch's device `meta`, which has no values.
"""

from contextlib import contextmanager, nullcontext

import pytest
import pytorch_lightning as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.workloads import CLASSES, cnn_search, images, rnn_search, words
from darts_pl.bilevel import ORDERS, AlphaRecipe, Draws, WeightRecipe
from darts_pl.data import BatchLoader
from darts_pl.modules import ClassificationScores, ClassifierModule, ClassifierRecipe, LanguageScores, SearchModule
from darts_pl.ops import cudnn
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

    WAITS = (
        *("aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero", "aten::masked_select", "aten::equal"),
        *("aten::_unique2", "aten::unique_dim", "aten::unique_consecutive", "aten::bincount", "aten::multinomial"),
    )
    INDEXED = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")

    def __init__(self, allowed=list):
        super().__init__()
        self.allowed = allowed

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().partition(".")[0]
        if name in self.WAITS and args[0].data_ptr() not in self.allowed():
            raise WaitError(name)
        if name in self.INDEXED and any(one is not None and one.dtype == torch.bool for one in args[1]):
            raise WaitError(f"{name} with a mask")
        return func(*args, **(kwargs or {}))


class RefuseCopies(TorchDispatchMode):
    """Raises WaitError where an operation has tensors of the host beside those of the device `meta`."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, found)) if isinstance(one, torch.Tensor)]
        if len({one.device.type for one in tensors}) > 1:
            raise WaitError(func.name())
        return found


@contextmanager
def on_meta(monkeypatch):
    """Within it a step runs on the device `meta`, which autocast does not know."""
    enabled = torch.is_autocast_enabled
    with monkeypatch.context() as patched:
        patched.setattr(torch, "autocast", lambda *arguments, **options: nullcontext())
        patched.setattr(torch, "is_autocast_enabled", lambda device: device != "meta" and enabled(device))
        patched.setattr(Draws, "__call__", lambda self, split, device: None)
        yield


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


@pytest.mark.slow  # an operation on `meta` takes a millisecond
@pytest.mark.parametrize("as_on_a_gpu", [False, True], ids=["", "form of a GPU"])
@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_step_copies_nothing_between_host_and_device(name, order, as_on_a_gpu, monkeypatch):
    monkeypatch.setattr(cudnn, "on_gpu", lambda x: as_on_a_gpu)
    monkeypatch.setattr(cudnn, "compared_once", lambda compute, tensors, *settings: compute(*tensors, *settings))
    sizes = (
        {"channels": 2, "layers": 3, "batch": 4, "side": 8} if name == "cnn" else {"units": 5, "batch": 3, "length": 2}
    )
    search = (cnn_search if name == "cnn" else rnn_search)("meta", both=False, **sizes).ours
    with on_meta(monkeypatch):
        search.step(order)  # the optimizers make their states
        with RefuseCopies():
            search.step(order)


@pytest.mark.parametrize(
    "copy", [lambda x: torch.tensor(1.0).to(x.device), lambda x: torch.zeros(3, device=x.device).copy_(torch.ones(3))]
)
def test_the_mode_refuses_copies(copy):
    with pytest.raises(WaitError), RefuseCopies():
        copy(torch.ones((), device="meta"))


@pytest.mark.parametrize(
    "read",
    [
        *(lambda x: x.item(), lambda x: bool(x > 0), lambda x: x.unsqueeze(0).nonzero()),
        *(lambda x: x.unsqueeze(0)[x.unsqueeze(0) > 0], lambda x: x.unsqueeze(0).unique()),
    ],
)
def test_the_mode_refuses_what_waits(read):
    with pytest.raises(WaitError), RefuseWaits():
        read(torch.ones(()))
