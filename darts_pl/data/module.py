"""What the LightningDataModules of all kinds of data share, and of images and photos more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch

from darts_pl.data.announce import warn
from darts_pl.data.batches import Batches, PairedBatches, refuse_large_batches, without_small_rest
from darts_pl.data.identity import Described, describe
from darts_pl.data.loader import BatchLoader
from darts_pl.data.sample_order import EvaluationOrder, IndexOrder, MixedOrder, SequentialOrder
from darts_pl.data.settings import INDEX, STRATIFIED, Loading
from darts_pl.data.splits import hold_out, missing_classes
from darts_pl.errors import UserError
from darts_pl.settings import check

Split = TypeVar("Split", bound=Sized)


class DataModule(pl.LightningDataModule):
    """A data set with its settings and its identity, and this process's place among all.

    Without a Trainer there is one process, on the CPU.

    Args:
        data: images, photos or a corpus.
        settings: the section `data` of the configuration.
        loading: what the task says about batches.

    Raises:
        UserError: if a setting is out of its range.
    """

    def __init__(self, data: Described, settings: Any, loading: Loading) -> None:
        super().__init__()
        check(settings, "data")
        self.settings, self.loading = settings, loading
        #: what the data are, see `describe`
        self.identity = describe(data)

    @property
    def split_sizes(self) -> dict[str, int]:
        """Samples of each split that this module reads."""
        return {}

    @property
    def held_back(self) -> int:
        """Samples of the test split, where this module does not read it."""
        return 0 if "test" in self.split_sizes else int(self.identity.get("test", {}).get("count", 0))

    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")

    def _ranks(self) -> tuple[int, int]:
        """(rank, world size)."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)


class LabelledData(DataModule, ABC, Generic[Split]):
    """Images or photos: batches ``(x, y)`` on the Trainer's device.

    x is float32 [B, C, H, W], channels-last and normalised, y is int64 [B]. Under several ranks each
    reads its own part; batch sizes are per rank.
    """

    #: what several samples are called in messages
    noun: str

    @abstractmethod
    def _training_batches(self, split: Split, sample_order: IndexOrder) -> Batches:
        """Shuffled and augmented."""

    @abstractmethod
    def _evaluation_batches(self, split: Split, sample_order: EvaluationOrder) -> Batches:
        """Unaugmented."""

    def _shuffled(self, split: Split, stream: str, name: str) -> Batches:
        loading = self.loading
        rank, world_size = self._ranks()
        what = f"{self.noun} of the {name}"
        refuse_large_batches(loading.batch_size_key, loading.batch_size, what, len(split), world_size)
        order = IndexOrder(len(split), loading.batch_size, loading.seed, stream, rank, world_size)
        return self._training_batches(split, without_small_rest(order, loading.min_batch_size))

    def _in_order(self, split: Split) -> BatchLoader:
        rank, world_size = self._ranks()
        size = len(split)
        if size < world_size:
            raise UserError(
                f"{size} {self.noun} cannot be evaluated by {world_size} processes; use {size} processes or fewer"
            )
        order = SequentialOrder(size, self.settings.eval_batch_size, rank, world_size)
        return BatchLoader(self._evaluation_batches(split, order))


class SearchHalves(LabelledData[Split]):
    """The loaders of a search: paired batches ``{"train": (x, y), "valid": (x, y)}`` from two halves.

    Validation goes through the valid half, unaugmented: in order, or with `Loading.mixed_scores` in the
    batches of `MixedOrder`. The test split is not kept, and there is no test dataloader.
    """

    @abstractmethod
    def _halves(self) -> tuple[Split, Split]:
        """The train half and the valid half."""

    def train_dataloader(self) -> BatchLoader:
        """Shuffled, augmented pairs; an epoch is as long as the train half."""
        train, valid = self._halves()
        return BatchLoader(
            PairedBatches(
                self._shuffled(train, "train", "train half"),
                self._shuffled(valid, "valid", "valid half"),
            )
        )

    @property
    def split_sizes(self) -> dict[str, int]:
        return dict(zip(("train", "valid"), map(len, self._halves()), strict=True))

    def val_dataloader(self) -> BatchLoader:
        """``(x, y)`` of the valid half, unaugmented. The last batch is empty on ranks with fewer batches."""
        valid, order = self._halves()[1], self.score_order()
        return self._in_order(valid) if order is None else BatchLoader(self._evaluation_batches(valid, order))

    def score_order(self) -> MixedOrder | None:
        """The order of the valid half where whole batches are scored; None where it is scored in order."""
        if not self.loading.mixed_scores:
            return None
        return MixedOrder(len(self._halves()[1]), self.loading.batch_size, self.loading.seed, *self._ranks())

    def _check_halves(self, class_names: Sequence[str], train: np.ndarray, valid: np.ndarray) -> None:
        """Refuse halves that are empty or smaller than a batch, and warn of classes that one lacks.

        Args:
            class_names: one per class.
            train, valid: labels of both halves.
        """
        loading, size = self.loading, len(train) + len(valid)
        halves = (("train half", train), ("valid half", valid))
        portion = f"search.train_portion={loading.train_portion}"
        for name, labels in halves:
            if not len(labels):
                raise UserError(f"{portion}: the {name} of {size} {self.noun} would be empty")
            what = f"{self.noun} of the {name} ({portion} of {size})"
            refuse_large_batches(loading.batch_size_key, loading.batch_size, what, len(labels))
        missing = missing_classes(class_names, halves, self.noun.removesuffix("s"))
        if missing is not None:
            remedy = f"; use data.split={STRATIFIED}" if self.settings.split == INDEX else ""
            warn(f"data.split={self.settings.split}: {missing}{remedy}")


class TrainHalf(SearchHalves[Split]):
    """The loaders of a training from scratch on the train half of a search, which the valid half scores.

    There is no test dataloader.
    """

    def train_dataloader(self) -> BatchLoader:
        """Shuffled and augmented batches ``(x, y)`` of the train half."""
        return BatchLoader(self._shuffled(self._halves()[0], "train", "train half"))

    @property
    def valid_size(self) -> int:
        """Samples of the valid half."""
        return len(self._halves()[1])


class WholeSplits(LabelledData[Split]):
    """The loaders of a training from scratch: the training split, and the test split to score once at the end.

    There is no validation dataloader: nothing may be chosen by the test split.
    """

    @abstractmethod
    def _training_split(self) -> Split: ...

    @abstractmethod
    def _test_split(self) -> Split: ...

    @property
    def split_sizes(self) -> dict[str, int]:
        return {"train": len(self._training_split()), "test": len(self._test_split())}

    def train_dataloader(self) -> BatchLoader:
        """Shuffled and augmented."""
        return BatchLoader(self._shuffled(self._training_split(), "train", "training split"))

    def test_dataloader(self) -> BatchLoader:
        """The test split, unaugmented and in order."""
        return self._in_order(self._test_split())

    def _held_out(self, labels: np.ndarray, order: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Samples that train, and those that validate; none of the latter without `Loading.valid_fraction`.

        Args:
            labels: int64 of all training samples.
            order: those that are used, in an order that does not depend on how they are stored.
            names: of the classes.
        """
        if not self.loading.valid_fraction:
            return order, order[:0]
        what, seed = self.noun.removesuffix("s"), self.settings.split_seed
        return hold_out(labels, order, self.loading.valid_fraction, seed, names, what)

    def _check_size(self, size: int) -> None:
        loading, what = self.loading, f"{self.noun} of the training split"
        refuse_large_batches(loading.batch_size_key, loading.batch_size, what, size)
