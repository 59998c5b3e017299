"""Imported by a run in a process of its own: the run is killed after the checkpoint of the epoch in DIE_AFTER."""

import os
from typing import Any

from darts_pl.callbacks import LastCheckpoint

_end = LastCheckpoint.on_train_epoch_end


def end_and_die(self: LastCheckpoint, trainer: Any, module: Any) -> None:
    _end(self, trainer, module)
    if str(trainer.current_epoch) == os.environ.get("DIE_AFTER"):
        os._exit(9)


hooks: Any = LastCheckpoint  # whose method is replaced
hooks.on_train_epoch_end = end_and_die
