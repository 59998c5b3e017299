"""The two halves of a search, and a test split where the data have none: which samples form each.

Everything here is a pure function of labels, content and a seed: the same on every rank and
platform, and independent of the seed of the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch

from darts_pl.errors import UserError


@dataclass(frozen=True, eq=False)
class Halves:
    """Samples of the train half and of the valid half, in the order in which they are kept.

    Args:
        train, valid: int64 [N], disjoint; together every sample once.
    """

    train: np.ndarray
    valid: np.ndarray


def index_halves(size: int, train_portion: float) -> Halves:
    """The first ``int(train_portion * size)`` samples, and the others, as the authors' code has it."""
    samples = np.arange(size)
    bound = int(train_portion * size)
    return Halves(samples[:bound], samples[bound:])


def stratified_halves(labels: np.ndarray, order: np.ndarray, train_portion: float) -> Halves:
    """Halves that hold every class in proportion.

    The train half has ``int(train_portion * N)`` samples. Of a class with n samples it has
    ``train_portion * n``, rounded down or up: all classes are rounded down first, and the places
    that remain go to the classes whose next sample comes first in `order`.

    Args:
        labels: int64 [M] of all samples.
        order: int64 [N], the samples to cut, from `stratified_order`; each half keeps this order.
        train_portion: in (0, 1).
    """
    size = int(train_portion * len(order))
    exact = Fraction(train_portion)
    ordered = labels[order]
    counts = np.bincount(ordered)
    whole = np.array([int(count * exact) for count in counts.tolist()], dtype=np.int64)
    has_rest = np.array([(count * exact).denominator != 1 for count in counts.tolist()])
    rank = _rank_in_class(ordered)
    train = rank < whole[ordered]
    next_ones = np.flatnonzero((rank == whole[ordered]) & has_rest[ordered])
    train[next_ones[: size - int(train.sum())]] = True
    assert int(train.sum()) == size
    return Halves(order[train], order[~train])


def stratified_order(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A fixed shuffle of the samples such that every prefix holds all classes in proportion.

    Args:
        labels: int64 [N].
        seed: another one shuffles otherwise.

    Returns:
        int64 [N].
    """
    shuffle = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).numpy()
    shuffled = labels[shuffle]
    counts = np.bincount(shuffled)
    return shuffle[np.argsort((_rank_in_class(shuffled) + 0.5) / counts[shuffled], kind="stable")]


def hold_out(
    labels: np.ndarray, order: np.ndarray, fraction: float, seed: int, class_names: Sequence[str], what: str = "image"
) -> tuple[np.ndarray, np.ndarray]:
    """Samples for training and for testing, of data that have no test split, or for training and for validation.

    Of a class with n samples the test split has ``fraction * n``, rounded to the nearest number, at least 1 and at
    most n - 1; which ones, a shuffle says that depends on `seed` and the number of samples alone.

    Args:
        labels: int64 [M] of all samples.
        order: int64 [N], the samples to divide in an order that does not depend on how they are stored.
        fraction: in (0, 1).
        seed: of the shuffle.
        class_names: one per class.
        what: what one sample is called.

    Returns:
        Two int64 arrays, disjoint, together every sample once, each in the order of `order`.

    Raises:
        UserError: if a class has a single sample.
    """
    ordered = labels[order]
    counts = np.bincount(ordered, minlength=len(class_names))
    single = np.flatnonzero(counts == 1)
    if len(single):
        raise UserError(
            f"the class {class_names[single[0]]!r} has one {what}, which cannot be both in the training split and in "
            "the part that is held out; add more"
        )
    wanted = np.clip(np.floor(fraction * counts + 0.5).astype(np.int64), 1, np.maximum(counts - 1, 1))
    shuffle = torch.randperm(len(order), generator=torch.Generator().manual_seed(seed)).numpy()
    tests = np.zeros(len(order), dtype=bool)
    tests[shuffle] = _rank_in_class(ordered[shuffle]) < wanted[ordered[shuffle]]
    return order[~tests], order[tests]


def content_order(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The samples sorted by a hash of the pixels, then by label, so that their stored order does not matter.

    Args:
        images: uint8 [N, H, W, C].
        labels: int64 [N].

    Returns:
        int64 [N]; samples with the same pixels and label are interchangeable.
    """
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    digests = b"".join(hashlib.blake2b(row.data, digest_size=8).digest() for row in rows)
    return np.lexsort((labels, np.frombuffer(digests, dtype=">u8")))


def missing_classes(
    class_names: Sequence[str], halves: Sequence[tuple[str, np.ndarray]], what: str = "image"
) -> str | None:
    """One line that names the classes which a half lacks, or None where none lacks any.

    Args:
        class_names: one per class.
        halves: name and labels of each half.
        what: what one sample is called.
    """
    lacks = []
    for name, labels in halves:
        absent = np.flatnonzero(np.bincount(labels, minlength=len(class_names)) == 0)
        if len(absent):
            lacks.append(f"the {name} has no {what} of {_listed([class_names[label] for label in absent.tolist()])}")
    return "; ".join(lacks) or None


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    noun = "class" if len(names) == 1 else "classes"
    return f"{noun} {', '.join(names[:most])}{more}"


def _rank_in_class(labels: np.ndarray) -> np.ndarray:
    """How many samples of the same class come before each sample: int64 [N]."""
    by_class = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - starts[labels[by_class]]
    return rank
