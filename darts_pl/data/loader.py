"""From a function that returns one batch of an epoch to a dataloader that can start anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from darts_pl.data.batches import Batches, VaryingBatches


class EpochCounter:
    """The epoch that a loader's next iteration belongs to; the Trainer sets it before each epoch."""

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of `epoch` >= 0."""
        self.epoch = epoch


class BatchLoader:
    """A dataloader for Lightning (or a plain for loop) over `batches`.

    Lightning sets the epoch through `sampler`, and writes `state_dict` into its checkpoints and
    reads it back, so a checkpoint written between two batches, also in the middle of an epoch, is
    continued with the next batch. The state is the same on all ranks.

    Args:
        batches: a pure function of (epoch, index), and the number of batches per epoch.
    """

    #: Lightning reads this attribute of everything that has a `sampler`
    batch_sampler = None

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self.sampler = EpochCounter()
        self._handed_out = (0, 0)
        self._start: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Batches in a whole epoch; where epochs differ, in the one that `batches` was made for."""
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        """The batches of the current epoch.

        The epoch and the first batch are looked up when the first batch is asked for: Lightning
        creates the iterator before it sets the epoch.
        """
        epoch = self.sampler.epoch
        length = self.batches.length_of(epoch) if isinstance(self.batches, VaryingBatches) else len(self)
        for index in range(self._take_start(epoch), length):
            self._handed_out = (epoch, index + 1)
            yield self.batches(epoch, index)

    def start_at(self, batch: int, epoch: int | None = None) -> None:
        """Let the next iteration, once, begin with `batch` of `epoch` (of the current one by default).

        It has no effect if the next iteration turns out to be of another epoch.
        """
        assert 0 <= batch <= len(self)
        self._start = (self.sampler.epoch if epoch is None else epoch, batch)

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches were handed out."""
        epoch, batch = self._handed_out
        return {"epoch": epoch, "batch": batch}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue behind the last batch that was handed out when `state_dict` was taken."""
        self._handed_out = (state_dict["epoch"], state_dict["batch"])
        self.start_at(state_dict["batch"], state_dict["epoch"])

    def _take_start(self, epoch: int) -> int:
        start, self._start = self._start, None
        return start[1] if start is not None and start[0] == epoch else 0
