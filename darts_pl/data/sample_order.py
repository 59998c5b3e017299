"""Which samples are in which batch: pure functions of a seed, an epoch and an index.

Nothing here has a state that a run would have to save. A run that died is continued at any batch
by asking for that batch again, and R processes agree on their parts without a message.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod

import torch
from torch import Tensor


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**63) that depends on all parts and is the same on every machine."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class IndexOrder:
    """Another permutation in every epoch, cut into batches: the order of training.

    Global batch i is ``permutation[i * B * R : (i + 1) * B * R]`` for B = `batch_size` and
    R = `world_size`; rank r takes its r-th contiguous part. All ranks have the same number of
    batches, and equally large ones: the last, partial batch is kept, but for the up to R - 1
    samples that cannot be shared out evenly (other samples in every epoch).

    Args:
        size: number of samples.
        batch_size: samples per batch and rank.
        seed: the run's seed.
        stream: a name; two orders with one seed and different names are independent.
        rank, world_size: this process among the processes that share the samples.
    """

    def __init__(self, size: int, batch_size: int, seed: int, stream: str, rank: int = 0, world_size: int = 1) -> None:
        assert batch_size >= 1
        assert 0 <= rank < world_size <= size
        self.size, self.seed, self.stream = size, seed, stream
        self.rank, self.world_size = rank, world_size
        self._global_batch = batch_size * world_size
        full, rest = divmod(size, self._global_batch)
        #: batches per epoch, on every rank
        self.batches = full + (rest >= world_size)
        self._permutation: tuple[int, Tensor] = (-1, torch.empty(0, dtype=torch.int64))

    def indices(self, epoch: int, index: int) -> Tensor:
        """The samples of this rank's batch `index` of an epoch: int64 [batch], values in [0, size)."""
        begin, end = self._global_bounds(index)
        return self._permuted(epoch)[begin:end][self.rank_slice(index)]

    def global_size(self, index: int) -> int:
        """Samples of batch `index` that all ranks together draw random numbers for."""
        begin, end = self._global_bounds(index)
        return end - begin

    def rank_slice(self, index: int) -> slice:
        """Where this rank's samples are in the global batch `index`."""
        each = self.global_size(index) // self.world_size
        return slice(self.rank * each, (self.rank + 1) * each)

    def generator(self, epoch: int, index: int) -> torch.Generator:
        """A CPU generator for what is random about batch `index` of an epoch; the same on all ranks."""
        return torch.Generator().manual_seed(derive_seed(self.seed, self.stream, "draws", epoch, index))

    def _global_bounds(self, index: int) -> tuple[int, int]:
        if not 0 <= index < self.batches:
            raise IndexError(f"batch {index} of {self.batches}")
        return index * self._global_batch, min((index + 1) * self._global_batch, self.size)

    def _permuted(self, epoch: int) -> Tensor:
        if self._permutation[0] != epoch:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, self.stream, "order", epoch))
            self._permutation = (epoch, torch.randperm(self.size, generator=generator))
        return self._permutation[1]


class EvaluationOrder(ABC):
    """Every sample exactly once, in the same batches in every epoch.

    Attributes:
        batches: their number, the same on every rank: a collective operation per batch never waits for a rank that
            is done.
    """

    batches: int

    @abstractmethod
    def indices(self, index: int) -> Tensor:
        """The samples of this rank's batch `index`: int64 [batch]."""

    def _check(self, index: int) -> None:
        if not 0 <= index < self.batches:
            raise IndexError(f"batch {index} of {self.batches}")


class SequentialOrder(EvaluationOrder):
    """The samples as they are stored, each exactly once: the order of evaluation.

    Rank r of R takes samples r, r + R, r + 2R, ... Where the parts are uneven, the last batch of some
    ranks is larger by one sample.

    Args:
        size: number of samples, at least `world_size`.
        batch_size: samples per batch and rank.
        rank, world_size: this process among the processes that share the samples.
    """

    def __init__(self, size: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        assert batch_size >= 1
        assert 0 <= rank < world_size <= size
        self.batch_size = batch_size
        self._rank_slice = torch.arange(rank, size, world_size)
        self.batches = -(-(size // world_size) // batch_size)

    def indices(self, index: int) -> Tensor:
        """The samples of this rank's batch `index`: int64 [batch]."""
        self._check(index)
        end = None if index == self.batches - 1 else (index + 1) * self.batch_size
        return self._rank_slice[index * self.batch_size : end]


class MixedOrder(EvaluationOrder):
    """One permutation, cut into whole batches: the order of scores that read the statistics of a batch.

    The batches depend on size, batch size and seed, and not on the number of ranks: rank r of R takes whole
    batches r, r + R, r + 2R, ... Where their number is no multiple of R, the last batch of some ranks is empty.

    A rest of at most half a batch joins the batch before it, since the statistics of few samples say little;
    a larger rest is a batch of its own. So every batch has more than `batch_size` / 2 samples (and at most 1.5 times
    `batch_size`) where there are as many, and a batch of a single sample only where `batch_size` or `size` is 1.

    Args:
        size: number of samples, at least 1.
        batch_size: samples per batch.
        seed: the run's seed.
        rank, world_size: this process among the processes that share the batches.
    """

    def __init__(self, size: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        assert min(size, batch_size) >= 1
        assert 0 <= rank < world_size
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        full, rest = divmod(size, batch_size)
        #: non-empty batches of all ranks together
        self.all_batches = max(full + (2 * rest > batch_size), 1)
        self.batches = -(-self.all_batches // world_size)
        generator = torch.Generator().manual_seed(derive_seed(seed, "score", "order"))
        self._permutation = torch.randperm(size, generator=generator)

    def indices(self, index: int) -> Tensor:
        """The samples of this rank's batch `index`: int64 [batch], empty where other ranks have one batch more."""
        self._check(index)
        number = self.rank + index * self.world_size
        if number >= self.all_batches:
            return self._permutation[:0]
        end = None if number == self.all_batches - 1 else (number + 1) * self.batch_size
        return self._permutation[number * self.batch_size : end]
