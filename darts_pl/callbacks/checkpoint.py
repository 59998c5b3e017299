"""`checkpoints/last.ckpt`: written after every epoch, every N steps, and before a run is interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.trainer.states import RunningStage

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.interruption import Interrupted, handling_signals
from darts_pl.records import DESCRIPTION_KEY, NetworkDescription, previous

#: Key in a checkpoint of the settings that it belongs to.
SETTINGS_KEY = "settings"
_VALIDATION = "epoch_loop.val_loop.batch_progress"


class LastCheckpoint(Checkpoint):
    """Saves the whole state of the run every `every` steps and after every epoch, when schedulers have stepped and
    all metrics of the epoch are known.

    The file is written under a temporary name. When it is complete, the existing one is renamed to `previous.ckpt`
    and the new one takes its place, so one of the two is intact at any moment. It holds only tensors and plain
    values, so ``torch.load(path, weights_only=True)`` reads it.

    Args:
        path: of the checkpoint.
        settings: identity of the run, stored with it and compared on resume.
        every: batches between two checkpoints within an epoch; None = only after epochs.

    Raises:
        UserError: if the disk is full.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any] | None = None, every: int | None = None) -> None:
        self.path = path
        self.settings = dict(settings or {})
        self.every = every
        self._before: Path | None = None  # the newest file that is known to be intact

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[SETTINGS_KEY] = self.settings
        if trainer.state.stage == RunningStage.VALIDATING:
            # An interrupted validation is repeated: the counts say that it has started and processed nothing.
            counts = dict.fromkeys(("ready", "started"), 1) | dict.fromkeys(("processed", "completed"), 0)
            none_yet = dict.fromkeys(counts, 0)
            checkpoint["loops"]["fit_loop"][_VALIDATION] = {
                "total": counts,
                "current": none_yet,
                "is_last_batch": False,
            }

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.ckpt_path is not None:
            self._before = Path(trainer.ckpt_path)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.every is not None and (batch_idx + 1) % self.every == 0 and is_safe(trainer, batch_idx):
            self.save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint now, on all ranks together."""
        temporary = self.path.with_name(".writing.last.ckpt")
        if trainer.is_global_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            trainer.save_checkpoint(temporary, weights_only=False)  # "weights only" would leave out the optimizers
            if trainer.is_global_zero:
                atomic.to_disk(temporary)
                if self._before == self.path:
                    self.path.replace(previous(self.path))
                elif self._before is None:  # of another run in the same folder
                    previous(self.path).unlink(missing_ok=True)
                temporary.replace(self.path)
            self._before = self.path
        except OSError as error:
            if error.errno not in atomic.DISK_FULL:
                raise
            raise UserError(
                f"{self.path}: not written, {error.strerror}\nthe checkpoint before it is intact; free some space and "
                "continue with resume=true"
            ) from error
        finally:
            if trainer.is_global_zero:
                temporary.unlink(missing_ok=True)
        trainer.strategy.barrier("checkpoint")


class KeepDescription(Callback):
    """Stores with every checkpoint what the network is and reads.

    Args:
        description: of the network.
    """

    def __init__(self, description: NetworkDescription) -> None:
        self.plain = description.to_plain()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[DESCRIPTION_KEY] = self.plain


class StopOnSignal(Checkpoint):
    """Handles Ctrl-C and SIGTERM between two batches: saves a checkpoint, then raises `Interrupted`.

    A second signal stops immediately, without saving. All ranks stop at the same batch, whichever of them received
    the signal. This callback must follow the `LastCheckpoint`, which has then already saved the end of an epoch.

    Args:
        checkpoint: the callback that saves.
    """

    def __init__(self, checkpoint: LastCheckpoint) -> None:
        self.checkpoint = checkpoint
        self._asked: int | None = None
        self._epoch_saved = False
        self._handlers = ExitStack()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            self._handlers.enter_context(handling_signals(self._note))

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked is not None:
            raise Interrupted(number)
        self._asked = number

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if is_safe(trainer, batch_idx) and self._is_asked(trainer):
            self._stop(trainer, save=True)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.state.stage == RunningStage.VALIDATING and self._is_asked(trainer):
            self._stop(trainer, save=True)

    # The end of an epoch is saved before the loggers receive it; they would miss it if the run stopped there.
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_saved = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._epoch_saved and self._is_asked(trainer):
            self._stop(trainer, save=False)
        self._epoch_saved = False

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._handlers.close()
        if self._epoch_saved and self._is_asked(trainer):
            self._stop(trainer, save=False)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._handlers.close()

    def _is_asked(self, trainer: pl.Trainer) -> bool:
        return bool(trainer.strategy.reduce_boolean_decision(self._asked is not None, all=False))

    def _stop(self, trainer: pl.Trainer, save: bool) -> None:
        if save:
            self.checkpoint.save(trainer)
        raise Interrupted(self._asked or signal.SIGTERM, self.checkpoint.path)


def is_safe(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether a checkpoint written after this training batch can be resumed: not with partly accumulated gradients,
    and not after the last batch of an epoch, where Lightning would skip the end of the epoch."""
    done = batch_idx + 1
    return done < trainer.num_training_batches and done % trainer.accumulate_grad_batches == 0
