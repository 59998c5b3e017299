"""Which samples stand in which batch: pure functions of a seed, a round and a position.

Nothing here has a state that a run would have to save. A run that died is continued at any batch
by asking for that batch again, and R processes agree on their shares without a message.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**63) that depends on all parts and is the same on every machine."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class IndexOrder:
    """A new permutation every round, cut into batches: the order of training.

    Global batch i is ``permutation[i * B * R : (i + 1) * B * R]`` for B = `batch_size` and
    R = `world_size`; rank r takes its r-th contiguous share. All ranks have the same number of
    batches, and equally large ones: the last, partial batch is kept, but for the up to R - 1
    samples that cannot be shared out evenly (other samples in every round).

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
        #: batches per round, on every rank
        self.batches = full + (rest >= world_size)
        self._permutation: tuple[int, Tensor] = (-1, torch.empty(0, dtype=torch.int64))

    def indices(self, round: int, i: int) -> Tensor:
        """The samples of this rank's batch `i` of a round: int64 [batch], values in [0, size)."""
        begin, end = self._global_bounds(i)
        return self._permuted(round)[begin:end][self.share(i)]

    def global_size(self, i: int) -> int:
        """Samples of batch `i` that all ranks together draw random numbers for."""
        begin, end = self._global_bounds(i)
        return end - begin

    def share(self, i: int) -> slice:
        """Where this rank's samples stand in the global batch `i`."""
        each = self.global_size(i) // self.world_size
        return slice(self.rank * each, (self.rank + 1) * each)

    def generator(self, round: int, i: int) -> torch.Generator:
        """A CPU generator for what is random about batch `i` of a round; the same on all ranks."""
        return torch.Generator().manual_seed(derive_seed(self.seed, self.stream, "draws", round, i))

    def _global_bounds(self, i: int) -> tuple[int, int]:
        if not 0 <= i < self.batches:
            raise IndexError(f"batch {i} of {self.batches}")
        return i * self._global_batch, min((i + 1) * self._global_batch, self.size)

    def _permuted(self, round: int) -> Tensor:
        if self._permutation[0] != round:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, self.stream, "order", round))
            self._permutation = (round, torch.randperm(self.size, generator=generator))
        return self._permutation[1]


class SequentialOrder:
    """The samples as they stand, each exactly once: the order of evaluation.

    Rank r of R takes samples r, r + R, r + 2R, ... All ranks have the same number of batches (a
    collective operation per batch never waits for a rank that is done); where the shares are
    uneven, the last batch of some ranks is larger by one sample.

    Args:
        size: number of samples, at least `world_size`.
        batch_size: samples per batch and rank.
        rank, world_size: this process among the processes that share the samples.
    """

    def __init__(self, size: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        assert batch_size >= 1
        assert 0 <= rank < world_size <= size
        self.batch_size = batch_size
        self._share = torch.arange(rank, size, world_size)
        #: batches, on every rank
        self.batches = -(-(size // world_size) // batch_size)

    def indices(self, i: int) -> Tensor:
        """The samples of this rank's batch `i`: int64 [batch]."""
        if not 0 <= i < self.batches:
            raise IndexError(f"batch {i} of {self.batches}")
        end = None if i == self.batches - 1 else (i + 1) * self.batch_size
        return self._share[i * self.batch_size : end]
