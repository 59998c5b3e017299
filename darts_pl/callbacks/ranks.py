"""State of each process of a run: saved in the checkpoint where it differs, compared where it must not."""

from __future__ import annotations

import logging
import random
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import move_data_to_device
from torch import Tensor

from darts_pl.errors import UserError

_log = logging.getLogger(__name__)

#: Key in a checkpoint of a list with the state of each rank.
KEY = "ranks"


class HasRankState(Protocol):
    """A module with a state that differs between ranks."""

    def rank_state(self) -> dict[str, Any]:
        """Tensors and plain values."""

    def load_rank_state(self, state: dict[str, Any]) -> None:
        """Restore what `rank_state` returned."""


class RankStates(Callback):
    """Saves the state of each rank with every checkpoint, and restores it on resume.

    This state consists of all random generators (torch's, which dropout and drop-path use, and those of Python and
    NumPy, which a user's candidate may use; data order and augmentation are functions of seed, epoch and batch) and of
    the module's `rank_state`: running statistics, metrics of the epoch so far, values carried between batches.

    Every rank but the first starts with a seed of its own, so that ranks do not drop the same units.

    Raises:
        UserError: if a mid-epoch checkpoint is resumed with another number of processes, which would divide the
            epoch differently.
    """

    def __init__(self) -> None:
        self._restored: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        own = {"random": _generators(), "module": pl_module.rank_state()}
        checkpoint[KEY] = _gathered(own, trainer.world_size)

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != TrainerFn.FITTING or KEY not in checkpoint:
            return
        states = checkpoint[KEY]
        if len(states) == trainer.world_size:
            self._restored = states[trainer.global_rank]
        elif _within_epoch(checkpoint["loops"]["fit_loop"]):
            raise UserError(
                f"a mid-epoch checkpoint of {len(states)} process(es) must be resumed with the same number of "
                f"processes, not with {trainer.world_size}\n(the end of an epoch can be resumed with any number)"
            )
        elif trainer.is_global_zero:
            _log.warning(
                "a checkpoint of %d processes is resumed with %d: results differ from the interrupted run's",
                *(len(states), trainer.world_size),
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self._restored is not None:
            pl_module.load_rank_state(self._restored["module"])
            _set_generators(self._restored["random"])
            self._restored = None
        elif trainer.global_rank:
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)


class CheckRanksAgree(Checkpoint):
    """Stops a search at the end of the first epoch after which ranks hold different architecture parameters.

    Every rank updates them with the same averaged gradient, so they must be bitwise equal. Derives from
    `Checkpoint` so that Lightning calls it last, before the checkpoint is written.

    Raises:
        RuntimeError: with the largest difference, and the genotypes where these differ too.
    """

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.world_size == 1:
            return
        own = {name: value.detach().cpu() for name, value in pl_module.supernet.architecture().items()}
        held = _gathered((own, str(pl_module.genotype())), trainer.world_size)
        for rank, (alphas, genotype) in enumerate(held[1:], start=1):
            for name, first in held[0][0].items():
                if not torch.equal(first, alphas[name]):
                    raise RuntimeError(_difference(trainer.current_epoch, rank, name, first, alphas[name]))
            if genotype != held[0][1]:
                raise RuntimeError(f"epoch {trainer.current_epoch + 1}: rank {rank} derives another genotype")


def _difference(epoch: int, rank: int, name: str, first: Tensor, other: Tensor) -> str:
    gap = (first.double() - other.double()).abs().nan_to_num(nan=torch.inf)
    largest = int(gap.argmax())
    index = [int(one) for one in torch.unravel_index(torch.tensor(largest), gap.shape)]  # [] of a single number
    place = "".join(f", {what} {number}" for what, number in zip(("edge", "candidate"), index, strict=False))
    return (
        f"epoch {epoch + 1}: ranks 0 and {rank} hold different architecture parameters: {name}{place}: "
        f"{first.flatten()[largest]:.9g} and {other.flatten()[largest]:.9g}"
    )


def _within_epoch(progress: dict[str, Any]) -> bool:
    """Whether batches of a training epoch, or of the validation after it, were left."""
    validation = progress["epoch_loop.val_loop.batch_progress"]["total"]
    return not progress["epoch_loop.batch_progress"]["is_last_batch"] or validation["started"] > validation["completed"]


def _gathered(own: Any, world_size: int) -> list[Any]:
    """The values of all ranks, on every rank, with tensors on the CPU."""
    if world_size == 1:
        return [own]
    held: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(held, move_data_to_device(own, torch.device("cpu")))
    return held


def _generators() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    name, words, *rest = np.random.get_state(legacy=True)
    return {
        "cpu": torch.get_rng_state(),
        "cuda": cuda,
        "python": random.getstate(),
        "numpy": (name, np.asarray(words).tolist(), *rest),
    }


def _set_generators(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["cpu"].cpu())
    if len(states["cuda"]) == torch.cuda.device_count() > 0:
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(states["numpy"])
