"""Runs the observers of a search: one callback between plain observers and Lightning."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from darts_pl import atomic
from darts_pl.bilevel import Observer, RollBack, Stop
from darts_pl.callbacks.checkpoint import LastCheckpoint
from darts_pl.records.folder import RunFolder


class RunObservers(Checkpoint):
    """Calls the observers of a search at the end of every epoch, and acts on what they decide.

    A roll-back is only noted here and kept in the checkpoint; `roll_back` carries it out once the
    Trainer has stopped, also in a process that was started later. Derives from `Checkpoint` so that
    Lightning calls it after the module has logged its metrics.

    Args:
        observers: by name.
    """

    def __init__(self, observers: Mapping[str, Observer]) -> None:
        self.observers = dict(observers)
        self.stopped: Stop | None = None
        self.pending: RollBack | None = None
        self.roll_backs = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for observer in self.observers.values():
            observer.start(trainer.max_epochs or 0)
        if self.stopped is not None or self.pending is not None:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self.observers:
            search = pl_module.step()
            search.valid_batch = lambda: _valid_batch(trainer)
        for name, observer in self.observers.items():
            action = observer.on_epoch_end(trainer.current_epoch, search)
            for metric, value in observer.metrics().items():
                pl_module.log(f"{name}/{metric}", float(value))
            if isinstance(action, Stop) and self.stopped is None:
                self.stopped = action
            if isinstance(action, RollBack) and self.pending is None:
                self.pending = action
        if self.stopped is not None or self.pending is not None:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {
            "observers": {name: observer.state_dict() for name, observer in self.observers.items()},
            "stopped": None if self.stopped is None else asdict(self.stopped),
            "pending": None if self.pending is None else {**asdict(self.pending)},
            "roll_backs": self.roll_backs,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, state in state_dict["observers"].items():
            if name in self.observers:
                self.observers[name].load_state_dict(state)
        self.stopped = None if state_dict["stopped"] is None else Stop(**state_dict["stopped"])
        self.pending = None if state_dict["pending"] is None else RollBack(**state_dict["pending"])
        self.roll_backs = state_dict["roll_backs"]

    def roll_back(self, checkpoint: Path) -> None:
        """Carry out the pending roll-back: the state of its epoch, with its changes, becomes the checkpoint.

        The changes are part of the written state: a run that goes on from it, now or after a stop,
        has them. Observers keep what they know, but for what their `rolled_back` takes back.

        Args:
            checkpoint: `last.ckpt`, beside which `KeepEpochs` left the states of earlier epochs.
        """
        action, self.pending = self.pending, None
        assert action is not None
        state = torch.load(kept(checkpoint, action.epoch), map_location="cpu", weights_only=True)
        for group in state["optimizer_states"][0]["param_groups"]:
            group.update(action.changes)
        then = state["callbacks"][self.state_key]
        for name, observer in self.observers.items():
            observer.rolled_back(then["observers"][name])
        self.roll_backs += 1
        state["callbacks"][self.state_key] = self.state_dict()
        atomic.write_with(checkpoint, lambda path: torch.save(state, path))

    def keep_taken(self, folder: RunFolder) -> None:
        """Where a search was ended early, keep the state of the epoch that it takes, and of no other earlier one.

        Args:
            folder: of the run, beside whose checkpoint `KeepEpochs` left the states of earlier epochs.
        """
        if self.stopped is None:
            return
        earlier = kept(folder.checkpoint, self.stopped.epoch)
        if earlier.exists():  # else a resumed run has kept it already
            earlier.replace(folder.taken_checkpoint)
        for path in folder.checkpoint.parent.glob("epoch_*.ckpt"):
            path.unlink()


def _valid_batch(trainer: pl.Trainer) -> Any:
    """The first valid batch of the epoch, on the device of the search; a resumed run reads the same."""
    loader: Any = trainer.train_dataloader
    batch = loader.batches(trainer.current_epoch, 0)["valid"]
    return trainer.precision_plugin.convert_input(trainer.strategy.batch_to_device(batch))


class KeepEpochs(Checkpoint):
    """Keeps the checkpoints of the last epochs, to which an observer may go back or whose genotype it may take.

    It comes after the `LastCheckpoint`.

    Args:
        checkpoint: writes the newest one.
        epochs: how many earlier epochs are kept.
    """

    def __init__(self, checkpoint: LastCheckpoint, epochs: int) -> None:
        self.checkpoint = checkpoint
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        path = kept(self.checkpoint.path, trainer.current_epoch)
        path.unlink(missing_ok=True)
        try:
            os.link(self.checkpoint.path, path)  # `last.ckpt` is replaced, never written in place
        except OSError:  # a file system without links
            shutil.copyfile(self.checkpoint.path, path)
        kept(self.checkpoint.path, trainer.current_epoch - self.epochs - 1).unlink(missing_ok=True)


def kept(checkpoint: Path, epoch: int) -> Path:
    """Where the checkpoint of an epoch (counted from 0) is kept, beside `last.ckpt`."""
    return checkpoint.with_name(f"epoch_{epoch}.ckpt")
