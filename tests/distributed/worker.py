"""One process of a distributed search without batch statistics: what it read, and what it held after each step.

``python -m torch.distributed.run --nproc-per-node=2 worker.py FOLDER [FAULT]`` writes ``FOLDER/ORDER_RANK.pt``.
"""

import os
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch

from darts_pl.bilevel import ORDERS, AlphaRecipe, WeightRecipe
from darts_pl.callbacks import CheckRanksAgree, RankStates
from darts_pl.data import BatchLoader, IndexOrder, SequentialOrder
from darts_pl.modules import Scores, SearchModule
from darts_pl.modules.running import Mean
from darts_pl.records import RunFolder
from darts_pl.runs import build_trainer
from darts_pl.runs.hardware import HardwareSettings
from tests.smooth import CLASSES, FEATURES, SmoothNet

#: Samples of each half; with joint batches of 8 the last one is not full.
SIZE, EPOCHS = 28, 2


class LossScore(Scores):
    """The mean loss alone."""

    def __init__(self):
        super().__init__({"loss": Mean()})

    def observe(self, outcome, batch):
        self["loss"].update(outcome.loss, len(batch[1]))
        return len(batch[1])


class Halves(pl.LightningDataModule):
    """Two halves of random samples, shared among the ranks as every data module shares them."""

    def __init__(self, batch_size):
        super().__init__()
        draw = torch.Generator().manual_seed(5)
        self.batch_size = batch_size
        self.halves = {
            name: (
                torch.randn(SIZE, FEATURES, generator=draw, dtype=torch.float64),
                torch.randint(CLASSES, (SIZE,), generator=draw),
            )
            for name in ("train", "valid")
        }

    def ranks(self):
        return self.trainer.global_rank, self.trainer.world_size

    def train_dataloader(self):
        orders = {name: IndexOrder(SIZE, self.batch_size, 3, name, *self.ranks()) for name in self.halves}
        return BatchLoader(Pairs(self.halves, orders))

    def val_dataloader(self):
        return BatchLoader(Ordered(self.halves["valid"], SequentialOrder(SIZE, self.batch_size, *self.ranks())))


class Pairs:
    """Paired batches with the indices of their samples beside them."""

    def __init__(self, halves, orders):
        self.halves, self.orders = halves, orders

    def __len__(self):
        return self.orders["train"].batches

    def __call__(self, epoch, i):
        indices = {name: order.indices(epoch, i) for name, order in self.orders.items()}
        batches = {name: tuple(part[indices[name]] for part in half) for name, half in self.halves.items()}
        return {**batches, "indices": indices}


class Ordered:
    """Batches of one half."""

    def __init__(self, half, order):
        self.half, self.order = half, order

    def __len__(self):
        return self.order.batches

    def __call__(self, epoch, i):
        return tuple(part[self.order.indices(i)] for part in self.half)


class Recorder(pl.Callback):
    """What was read, and the parameters after every step. It can make one rank go wrong."""

    def __init__(self, fault=None):
        self.fault = fault
        self.steps, self.valid_losses = [], []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        parameters = {name: value.detach().clone() for name, value in module.supernet.named_parameters()}
        self.steps.append({"parameters": parameters, "indices": batch["indices"]})
        if trainer.global_rank == 1 and self.fault == "alphas":
            module.supernet.alphas["reduce"].data[1, 2] += 0.125
        if trainer.global_rank == 1 and self.fault == "raise":
            raise ValueError("rank 1 was told to fail")

    def on_validation_epoch_end(self, trainer, module):
        self.valid_losses.append(module.valid_metrics["loss"].compute())


def search(order, folder, processes, batch_size, fault=None):
    """Run a small search in this process as one of `processes`; returns what the `Recorder` noted."""
    pl.seed_everything(0, verbose=False)
    net = SmoothNet(dropout=0.0).double()
    module = SearchModule(
        net,
        order=ORDERS.get(order)(),
        weights=WeightRecipe(0.1, 0.01, 0.9, 3e-4, 5.0, EPOCHS),
        alphas=AlphaRecipe(3e-2, (0.5, 0.999), 1e-3),
        radius=0.01,
        scores=LossScore,
    )
    recorder = Recorder(fault)
    hardware = HardwareSettings(
        accelerator="cpu",
        devices=processes,
        precision="64-true",
        strategy="ddp" if processes > 1 else "auto",
        nodes=None,
        deterministic=False,
        threads=None,
        compile=False,
    )
    trainer = build_trainer(
        hardware, RunFolder(Path(folder)), epochs=EPOCHS, callbacks=[RankStates(), recorder, CheckRanksAgree()]
    )
    trainer.fit(module, datamodule=Halves(batch_size))
    return {"steps": recorder.steps, "valid_losses": recorder.valid_losses}


def main(folder, fault=None):
    world_size = int(os.environ["WORLD_SIZE"])
    for order in ("first",) if fault else ORDERS:
        found = search(order, folder, world_size, 8 // world_size, fault)
        torch.save(found, Path(folder) / f"{order}_{os.environ['RANK']}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
