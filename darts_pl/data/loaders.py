"""A pair of dataloaders that a notebook hands over, in place of a data set that is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from darts_pl.data.loader import EpochCounter
from darts_pl.data.module import DataModule
from darts_pl.data.settings import DATA_KINDS, DataSettings, Loading
from darts_pl.errors import UserError
from darts_pl.settings import setting


@dataclass(frozen=True, kw_only=True)
class LoaderSettings(DataSettings):
    """Dataloaders of a notebook, see `darts_pl.search`; they batch and augment, so these settings do not."""

    holds = "images"
    examples = "darts_pl.search((train_loader, valid_loader))"

    stem: str = setting("first layers of the networks")


#: Their name; what their ``data.path`` names is known to this process alone.
LOADERS = "loaders"

DATA_KINDS.add(LOADERS, LoaderSettings, settings=LoaderSettings)

#: By ``data.path``, the pairs that this process was given.
_PAIRS: dict[str, LoaderPair] = {}


@dataclass(frozen=True, eq=False)
class LoaderPair:
    """Two dataloaders of batches ``(x, y)``: x float32 [B, C, H, W], y integers [B].

    Args:
        first: its images train the weights.
        second: its images train the alphas in a search, and are the test split of a training.

    Raises:
        UserError: if a loader is empty, or a batch is something else.
    """

    first: Any
    second: Any

    @cached_property
    def _facts(self) -> dict[str, Any]:
        counts, largest, shape = [], 0, None
        for name, loader in (("first", self.first), ("second", self.second)):
            count = 0
            for batch in loader:
                x, y = _checked(batch, name)
                if shape not in (None, tuple(x.shape[1:])):
                    raise UserError(f"{name} dataloader: images of {tuple(x.shape[1:])} after others of {shape}")
                shape, count, largest = tuple(x.shape[1:]), count + len(y), max(largest, int(y.max()))
            if not count:
                raise UserError(f"{name} dataloader: it has no batch")
            counts.append(count)
        assert shape is not None
        return {"counts": counts, "classes": largest + 1, "shape": shape}

    @property
    def classes(self) -> int:
        """The largest label in both loaders, plus 1."""
        return int(self._facts["classes"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self._facts["shape"]
        return channels, height, width

    @property
    def images(self) -> int:
        """In both loaders."""
        return int(sum(self._facts["counts"]))

    @property
    def batch_size(self) -> int:
        """Of the first loader, as far as it says."""
        return int(getattr(self.first, "batch_size", None) or 1)

    @property
    def identity(self) -> dict[str, Any]:
        """Counts and shape; nothing is known of names and content."""
        first, second = self._facts["counts"]
        channels, height, width = self.shape
        return {
            "kind": "loaders",
            "classes": [str(label) for label in range(self.classes)],
            **{"channels": channels, "height": height, "width": width},
            **{"train": {"count": first}, "test": {"count": second}},
        }


def hand_over(first: Iterable[Any], second: Iterable[Any]) -> str:
    """Keep a pair of dataloaders for this process; returns the ``data.path`` that names it.

    Raises:
        UserError: if one of them has no length.
    """
    for loader in (first, second):
        if not isinstance(loader, Sized):
            raise UserError("a dataloader without a length: give one over a data set with __len__")
    name = f"handed_over_{len(_PAIRS)}"
    _PAIRS[name] = LoaderPair(first, second)
    return name


def loader_pair(path: str | None) -> LoaderPair:
    """The pair that `hand_over` named.

    Raises:
        UserError: if there is none, as in a command or in another process.
    """
    if path not in _PAIRS:
        raise UserError("data=loaders: the dataloaders of a notebook; a command needs data=npz, image_folder, ...")
    return _PAIRS[path]


class _Paired:
    """Batches ``{"train": ..., "valid": ...}``: an epoch of the first loader, beside the second one in a circle."""

    batch_sampler = None

    def __init__(self, pair: LoaderPair) -> None:
        self.pair, self.sampler = pair, EpochCounter()

    def __len__(self) -> int:
        return len(self.pair.first)

    def __iter__(self) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
        second = iter(self.pair.second)
        for batch in self.pair.first:
            try:
                other = next(second)
            except StopIteration:
                second = iter(self.pair.second)
                other = next(second)
            yield {"train": _checked(batch, "first"), "valid": _checked(other, "second")}


class _Plain:
    """Batches ``(x, y)`` of one loader."""

    batch_sampler = None

    def __init__(self, loader: Any, name: str) -> None:
        self.loader, self.name, self.sampler = loader, name, EpochCounter()

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (_checked(batch, self.name) for batch in self.loader)


class SearchLoaders(DataModule):
    """The loaders of a search: pairs of batches, and the second loader to validate.

    Args:
        pair: both loaders.
        settings: the section `data`.
        loading: what the task says; the loaders' own batch sizes hold.
    """

    def __init__(self, pair: LoaderPair, settings: LoaderSettings, loading: Loading) -> None:
        super().__init__(pair, settings, loading)
        self.pair = pair

    def train_dataloader(self) -> _Paired | _Plain:
        """Pairs of batches; an epoch is as long as the first loader."""
        return _Paired(self.pair)

    def val_dataloader(self) -> _Plain:
        """The second loader."""
        return _Plain(self.pair.second, "second")

    @property
    def split_sizes(self) -> dict[str, int]:
        """Of both loaders."""
        return {"train": int(self.pair.identity["train"]["count"]), "valid": self.valid_size}

    @property
    def held_back(self) -> int:
        """There is no third loader."""
        return 0

    @property
    def valid_size(self) -> int:
        """Samples of the second loader."""
        return int(self.pair.identity["test"]["count"])


class HalfLoaders(SearchLoaders):
    """A training on the first loader, which the second one validates."""

    def train_dataloader(self) -> _Plain:
        """The first loader."""
        return _Plain(self.pair.first, "first")


class RetrainLoaders(DataModule):
    """A training on the first loader, which the second one tests; see `SearchLoaders`."""

    def __init__(self, pair: LoaderPair, settings: LoaderSettings, loading: Loading) -> None:
        super().__init__(pair, settings, loading)
        self.pair = pair

    def train_dataloader(self) -> _Plain:
        """The first loader."""
        return _Plain(self.pair.first, "first")

    @property
    def split_sizes(self) -> dict[str, int]:
        """Of both loaders."""
        return {name: int(self.pair.identity[name]["count"]) for name in ("train", "test")}

    def test_dataloader(self) -> _Plain:
        """The second loader."""
        return _Plain(self.pair.second, "second")


def _checked(batch: Any, name: str) -> tuple[Tensor, Tensor]:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(isinstance(one, Tensor) for one in batch):
        raise UserError(f"{name} dataloader: a batch must be a pair of tensors, images [B, C, H, W] and labels [B]")
    x, y = batch
    if x.ndim != 4 or y.ndim != 1 or len(x) != len(y):
        raise UserError(
            f"{name} dataloader: a batch has images {tuple(x.shape)} and labels {tuple(y.shape)}; expected "
            "[B, C, H, W] and [B]"
        )
    if y.is_floating_point() or not x.is_floating_point():
        raise UserError(
            f"{name} dataloader: images are {x.dtype} and labels {y.dtype}; expected floating point and integers"
        )
    return x.float().contiguous(memory_format=torch.channels_last), y.long()
