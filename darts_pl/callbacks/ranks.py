"""What differs between the processes of a run: kept in the checkpoint, and compared where it must not differ."""

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

#: Key of a checkpoint: a list with what each rank keeps.
KEY = "ranks"


class HasRankState(Protocol):
    """A module with a state that is a rank's own."""

    def rank_state(self) -> dict[str, Any]:
        """Tensors and plain values."""

    def load_rank_state(self, state: dict[str, Any]) -> None:
        """Takes what `rank_state` gave."""


class RankStates(Callback):
    """Saves with every checkpoint what is each rank's own, and gives it back when a run is continued.

    That is all random generators: torch's, from which dropout and drop-path draw, and those of Python
    and NumPy, from which a user's candidate may (data order and augmentation are functions of seed,
    epoch and batch). And it is the `rank_state` of the module: running
    statistics, metrics of the epoch so far, what is carried from batch to batch.

    Under several ranks each but the first starts with a seed of its own, so that they do not drop
    the same units.

    Raises:
        UserError: if a checkpoint from within an epoch is to go on in another number of processes, which
            would share out the epoch otherwise.
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
                f"the checkpoint is of {len(states)} process(es) and from within an epoch: go on in as many "
                f"processes, not in {trainer.world_size}\n(one of an epoch's end can go on in any number)"
            )
        elif trainer.is_global_zero:
            _log.warning(
                "the checkpoint is of %d processes and goes on in %d: no longer bit by bit the run that was stopped",
                *(len(states), trainer.world_size),
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self._restored is not None:
            pl_module.load_rank_state(self._restored["module"])
            _set_generators(self._restored["random"])
            self._restored = None
        elif trainer.global_rank:
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)


class RanksAgree(Checkpoint):
    """Stops a search at the end of the first epoch after which ranks hold different architecture parameters.

    Every rank moves them by the same averaged gradient, so they are equal bit by bit; where
    they are not, the ranks search different things. Derives from `Checkpoint` so that Lightning
    calls it last; it comes before the checkpoint is written.

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
    """Whether the batches of a training epoch, or those of the validation after it, were not all done."""
    validation = progress["epoch_loop.val_loop.batch_progress"]["total"]
    return not progress["epoch_loop.batch_progress"]["is_last_batch"] or validation["started"] > validation["completed"]


def _gathered(own: Any, world_size: int) -> list[Any]:
    """What each rank holds, on all ranks, its tensors on the CPU."""
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
