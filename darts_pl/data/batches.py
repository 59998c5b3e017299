"""Batches of any data as functions of (epoch, index)."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from darts_pl.data.sample_order import IndexOrder
from darts_pl.errors import UserError

Batch = tuple[Tensor, Tensor]


class Batches(Protocol):
    """A pure function from (epoch, index) to a batch, and how many batches an epoch has.

    Whatever has this form (images, text, photos read by worker processes) can be paired by
    `PairedBatches` and iterated and resumed by `BatchLoader`.
    """

    def __len__(self) -> int: ...

    def __call__(self, epoch: int, index: int, /) -> Any: ...


@runtime_checkable
class VaryingBatches(Batches, Protocol):
    """Batches whose number differs from epoch to epoch; their length is that of one of the epochs."""

    def length_of(self, epoch: int, /) -> int:
        """The number of batches of an epoch."""


def without_small_rest(sample_order: IndexOrder, min_batch_size: int) -> IndexOrder:
    """The same order without a last batch of fewer than `min_batch_size` samples per rank.

    Args:
        sample_order: whose last batch may be partial; its full batches are large enough.
        min_batch_size: 2 where BatchNorm reads maps of 1x1, which it averages over the batch alone.
    """
    if sample_order.global_size(sample_order.batches - 1) // sample_order.world_size < min_batch_size:
        sample_order.batches -= 1
    return sample_order


def refuse_large_batches(key: str, batch_size: int, what: str, size: int, world_size: int = 1) -> None:
    """Raise UserError if a batch of every process together is more than there is.

    Args:
        key: what the message calls `batch_size`.
        batch_size: samples per batch and process.
        what: samples, and of what.
        size: how many there are.
        world_size: number of processes.
    """
    if batch_size * world_size > size:
        processes = f" in each of {world_size} processes" if world_size > 1 else ""
        remedy = f"lower it to {size // world_size} or less" if size >= world_size else "it needs more of them"
        raise UserError(f"{key}={batch_size}{processes} is more than the {size} {what}; {remedy}")


class PairedBatches:
    """What a search step reads: ``{"train": batch, "valid": batch}``.

    An epoch is as long as the train half. The valid half is indexed by the number of batches before
    this one, n = epoch * length + index, so it has epochs of its own and is shuffled at the start of
    each.
    """

    def __init__(self, train: Batches, valid: Batches) -> None:
        self.train, self.valid = train, valid

    def __len__(self) -> int:
        return len(self.train)

    def __call__(self, epoch: int, index: int, /) -> dict[str, Any]:
        valid_epoch, valid_index = divmod(epoch * len(self) + index, len(self.valid))
        return {"train": self.train(epoch, index), "valid": self.valid(valid_epoch, valid_index)}
