"""Sequences of words that live on the training device, as functions of (epoch, index).

A text is cut into B columns of equal length, which are read side by side from top to bottom: rows
[N, B]. A batch is ``(tokens, targets)``, both int64 [T, B]; the targets are the words that follow
the tokens.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from darts_pl.data.sample_order import derive_seed

TextBatch = tuple[Tensor, Tensor]

#: As a target it is not counted; `torch.nn.functional.cross_entropy` skips it.
NOT_COUNTED = -100


@dataclass(frozen=True)
class Lengths:
    """How long the sequences of an epoch are.

    Args:
        bptt: the usual length.
        short_probability: probability that a sequence has half the usual length.
        spread: standard deviation of normal noise on it; 0 = none.
        min_length: smallest length with noise.
        max_length: largest length with noise; None = any.
    """

    bptt: int
    short_probability: float = 0.0
    spread: float = 0.0
    min_length: int = 1
    max_length: int | None = None

    def draw(self, generator: random.Random) -> int:
        """A length of 1 or more."""
        short = generator.random() < self.short_probability
        if self.spread:
            noisy = generator.normalvariate(self.bptt / 2 if short else self.bptt, self.spread)
            longest = int(noisy) if self.max_length is None else min(int(noisy), self.max_length)
            return max(self.min_length, longest)
        return max(1, self.bptt // 2) if short else self.bptt


def bounds(rows: int, lengths: Lengths, seed: int, epoch: int) -> list[tuple[int, int]]:
    """(start, stop) of every sequence of an epoch, a pure function of its arguments.

    Together they cover rows 0 to rows - 1; the last row is only a target.
    """
    generator = random.Random(derive_seed(seed, "sequences", epoch))
    found, start = [], 0
    while start < rows - 1:
        stop = min(start + lengths.draw(generator), rows - 1)
        found.append((start, stop))
        start = stop
    return found


def columns(tokens: Tensor, batch_size: int) -> Tensor:
    """A text [N] as rows [N // B, B] for B = `batch_size`; up to B - 1 words at its end are left out."""
    length = len(tokens) // batch_size
    return tokens[: length * batch_size].view(batch_size, length).t().contiguous()


class TrainSequences:
    """Sequences of random length, in order, from the top of the columns to the bottom in every epoch.

    Args:
        rows: [N, B], with N of 2 or more.
        lengths: of the sequences.
        seed: the run's.
        epoch: the one whose number of batches is the length of this.
    """

    def __init__(self, rows: Tensor, lengths: Lengths, seed: int, epoch: int = 0) -> None:
        self.rows, self.lengths, self.seed, self.epoch = rows, lengths, seed, epoch
        self._bounds: tuple[int, list[tuple[int, int]]] = (-1, [])

    def __len__(self) -> int:
        return self.length_of(self.epoch)

    def length_of(self, epoch: int, /) -> int:
        """The number of sequences of an epoch."""
        return len(self.bounds(epoch))

    def bounds(self, epoch: int) -> list[tuple[int, int]]:
        """(start, stop) of every sequence of an epoch."""
        if self._bounds[0] != epoch:
            self._bounds = (epoch, bounds(len(self.rows), self.lengths, self.seed, epoch))
        return self._bounds[1]

    def __call__(self, epoch: int, index: int, /) -> TextBatch:
        start, stop = self.bounds(epoch)[index]
        return self.rows[start:stop], self.rows[start + 1 : stop + 1]


class PairedSequences:
    """What a search step reads: ``{"train": batch, "valid": batch}``.

    The valid position follows the train position and wraps at the end of the valid text, where a
    sequence can be shorter than its partner. Elsewhere both have one length, so that the hidden state
    carried along the valid text misses no word and sees none twice (the authors' code reads `bptt`
    words of it also where the training sequence has half as many).

    Args:
        train: of the training text.
        valid_rows: [M, B] of the validation text, with M of 2 or more.
    """

    def __init__(self, train: TrainSequences, valid_rows: Tensor) -> None:
        self.train, self.valid_rows = train, valid_rows

    def __len__(self) -> int:
        return len(self.train)

    def length_of(self, epoch: int, /) -> int:
        """The number of sequences of an epoch."""
        return self.train.length_of(epoch)

    def __call__(self, epoch: int, index: int, /) -> dict[str, TextBatch]:
        begin, end = self.train.bounds(epoch)[index]
        last = len(self.valid_rows) - 1
        start = begin % last
        stop = min(start + end - begin, last)
        valid = self.valid_rows[start:stop], self.valid_rows[start + 1 : stop + 1]
        return {"train": self.train(epoch, index), "valid": valid}


class EvaluationSequences:
    """A whole text in order, every word but the first exactly once a target, for evaluation.

    The columns overlap by one word, and the last one is padded with targets that are not counted.

    Args:
        tokens: [N], with N of 2 or more.
        batch_size: B.
        bptt: length of the sequences; it changes no score but by rounding.
        rank, world_size: this process takes its slice of the columns.
    """

    def __init__(self, tokens: Tensor, batch_size: int, bptt: int, rank: int = 0, world_size: int = 1) -> None:
        self.bptt = bptt
        every = batch_size * world_size
        length = -(-(len(tokens) - 1) // every)
        padding = every * length - (len(tokens) - 1)
        mine = slice(rank * batch_size, (rank + 1) * batch_size)
        self.tokens, self.targets = (
            torch.nn.functional.pad(part, (0, padding), value=value).view(every, length).t()[:, mine].contiguous()
            for part, value in ((tokens[:-1], 0), (tokens[1:], NOT_COUNTED))
        )

    def __len__(self) -> int:
        return -(-len(self.tokens) // self.bptt)

    def __call__(self, epoch: int, index: int, /) -> TextBatch:
        here = slice(index * self.bptt, (index + 1) * self.bptt)
        return self.tokens[here], self.targets[here]
