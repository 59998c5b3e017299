"""One process that scores a supernet with BatchNorm and a candidate that draws, as a search's validation and as a rule.

``python -m torch.distributed.run --nproc-per-node=2 score_worker.py FOLDER`` writes ``FOLDER/RANK.pt``.
"""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch

from darts_pl.bilevel import AlphaRecipe, WeightRecipe, first_order
from darts_pl.callbacks import LastCheckpoint, RankStates, StopOnSignal
from darts_pl.data import ImageArrays, ImageSettings, Loading, SearchImages
from darts_pl.modules import ClassificationScores, SearchModule
from darts_pl.records import RunFolder
from darts_pl.runs import build_trainer
from darts_pl.runs.hardware import HardwareSettings
from darts_pl.selection import Dealt, Trials
from darts_pl.spaces import CnnSupernet, build_space

#: Of the valid half: three batches of 8 for two processes, the last one with a rest of 4.
SIZE, BATCH = 28, 8
FRACTIONS = (0.3, 0.6, 1.0)


def data_of():
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (32 + SIZE, 8, 8, 3)).astype(np.uint8)
    labels = np.sort(draw.integers(0, 3, 32 + SIZE))
    settings = ImageSettings(
        name="own", path=None, batch_size=None, eval_batch_size=4, stem="cifar", flip=False, split="index",
        split_seed=0, test_fraction=0.2, crop_padding=0, mean=[0.5] * 3, std=[0.25] * 3, layout="auto",
    )  # fmt: skip
    arrays = ImageArrays(images, labels, images[:1], labels[:1], ("a", "b", "c"))
    return SearchImages(arrays, settings, Loading(BATCH, 3, train_portion=32.2 / (32 + SIZE), mixed_scores=True))


class Recorder(pl.Callback):
    """The metrics of the whole valid half, before they are reset."""

    def on_validation_epoch_end(self, trainer, module):
        self.found = {name: float(metric.compute()) for name, metric in module.valid_metrics.metrics()}


def scores(folder, processes):
    """Scores of this process as one of `processes`."""
    pl.seed_everything(0, verbose=False)
    space = build_space("cnn", ("noise", "skip_connect", "sep_conv_3x3"), 2)
    module = SearchModule(
        CnnSupernet(space, init_channels=2, layers=3, classes=3, alpha_scale=1.0).double(),
        order=first_order,
        weights=WeightRecipe(0.1, 0.01, 0.9, 3e-4, 5.0, 1),
        alphas=AlphaRecipe(3e-2, (0.5, 0.999), 1e-3),
        radius=None,
        scores=partial(ClassificationScores, 3),
        seed=3,
        batch_scores=True,
    )
    hardware = HardwareSettings(
        accelerator="cpu", devices=processes, precision="64-true", strategy="ddp" if processes > 1 else "auto",
        nodes=None, deterministic=False, threads=None, compile=False,
    )  # fmt: skip
    recorder = Recorder()
    callbacks = [RankStates(), recorder, StopOnSignal(LastCheckpoint(Path(folder) / "last.ckpt"))]
    trainer = build_trainer(hardware, RunFolder(Path(folder)), epochs=1, callbacks=callbacks)
    data = data_of()
    trainer.validate(module, datamodule=data, verbose=False)
    order = data.score_order()

    def batches():
        return ((x.double(), y) for x, y in data.val_dataloader())

    def count(outcome, batch):
        return len(batch[1]), (outcome.outputs.argmax(1) == batch[1]).sum()

    dealt = Dealt(order.rank, order.world_size, order.all_batches)
    trials = Trials(module.supernet, batches, count, mean=module.mean, seed=3, dealt=dealt)
    return {"validation": recorder.found, "rule": [tuple(trials.score(fraction=one)) for one in FRACTIONS]}


if __name__ == "__main__":
    found = scores(sys.argv[1], int(os.environ["WORLD_SIZE"]))
    torch.save(found, Path(sys.argv[1]) / f"{os.environ['RANK']}.pt")
