"""LightningDataModules for text: paired streams for a search, one stream for a retraining."""

from __future__ import annotations

from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor

from darts_pl.data.loader import BatchLoader
from darts_pl.data.text import Corpus
from darts_pl.data.text_batches import EvaluationSequences, Lengths, PairedSequences, TrainSequences, columns
from darts_pl.errors import UserError


@dataclass(frozen=True)
class TextSettings:
    """How a text becomes batches.

    Args:
        batch_size: columns of a training batch, per process.
        eval_batch_size: columns in validation, per process.
        seed: the sequence lengths are functions of it.
        lengths: of the training sequences.
        test_batch_size: columns in the test, per process.
        batch_size_key: where the user gave `batch_size`, for messages.

    Raises:
        UserError: if a size is below 1.
    """

    batch_size: int
    eval_batch_size: int
    seed: int
    lengths: Lengths
    test_batch_size: int = 1
    batch_size_key: str = "batch_size"

    def __post_init__(self) -> None:
        for name in ("batch_size", "eval_batch_size", "test_batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name)}: must be 1 or more")


class TextDataModule(pl.LightningDataModule):
    """What `SearchText` and `RetrainText` share: texts on the training device, columns of ranks.

    Batches are ``(tokens, targets)``, int64 [T, B], on the Trainer's device. Every epoch has its
    own number of sequences, so the Trainer asks for the train dataloader again in each.

    Raises:
        UserError: if a text is shorter than one batch.
    """

    def __init__(self, corpus: Corpus, settings: TextSettings) -> None:
        super().__init__()
        self.settings = settings
        self.vocabulary = len(corpus.words)
        self._name = corpus.name
        self._train, self._valid = corpus.train, corpus.valid
        self._check("train", corpus.train, settings.batch_size_key, settings.batch_size)
        self._check("valid", corpus.valid, "data.eval_batch_size", settings.eval_batch_size)
        self._rows: dict[str, Tensor] = {}

    def setup(self, stage: str) -> None:
        """Called by the Trainer before it asks for a dataloader."""
        if self.trainer is not None:
            self.trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined]  # set elsewhere in it

    def val_dataloader(self) -> BatchLoader:
        """The validation text, in order."""
        return self._evaluation(self._valid, self.settings.eval_batch_size)

    def _training(self) -> TrainSequences:
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        return TrainSequences(self._columns("train", self._train), self.settings.lengths, self.settings.seed, epoch)

    def _evaluation(self, tokens: Tensor, batch_size: int) -> BatchLoader:
        return BatchLoader(
            EvaluationSequences(tokens.to(self._device()), batch_size, self.settings.lengths.bptt, *self._ranks())
        )

    def _columns(self, split: str, tokens: Tensor) -> Tensor:
        """This rank's columns of a text, moved to the training device when first asked for there."""
        device = self._device()
        if split not in self._rows or self._rows[split].device != device:
            rank, world_size = self._ranks()
            size = self.settings.batch_size
            self._check(split, tokens, self.settings.batch_size_key, size, world_size)
            share = columns(tokens, size * world_size)[:, rank * size : (rank + 1) * size]
            self._rows[split] = share.contiguous().to(device)
        return self._rows[split]

    def _check(self, split: str, tokens: Tensor, key: str, batch_size: int, world_size: int = 1) -> None:
        least = 2 * batch_size * world_size
        if len(tokens) < least:
            processes = f" in each of {world_size} processes" if world_size > 1 else ""
            raise UserError(
                f"the {split} text of {self._name} has {len(tokens)} words; {key}={batch_size}{processes} "
                f"needs {least} or more\ngive a longer text or a smaller {key}"
            )

    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")

    def _ranks(self) -> tuple[int, int]:
        """(rank, world size)."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)


class SearchText(TextDataModule):
    """Paired batches: weights learn on the training text, alphas on the validation text.

    The test text is not kept, and there is no test dataloader.

    Raises:
        UserError: if a text is shorter than one batch.
    """

    def __init__(self, corpus: Corpus, settings: TextSettings) -> None:
        super().__init__(corpus, settings)
        self._check("valid", corpus.valid, settings.batch_size_key, settings.batch_size)

    def train_dataloader(self) -> BatchLoader:
        """Pairs ``{"train": batch, "valid": batch}`` of this epoch."""
        return BatchLoader(PairedSequences(self._training(), self._columns("valid", self._valid)))


class RetrainText(TextDataModule):
    """Batches of the training text, the validation text, and the test text to score once at the end.

    Raises:
        UserError: if a text is shorter than one batch.
    """

    def __init__(self, corpus: Corpus, settings: TextSettings) -> None:
        super().__init__(corpus, settings)
        self._test = corpus.test
        self._check("test", corpus.test, "data.test_batch_size", settings.test_batch_size)

    def train_dataloader(self) -> BatchLoader:
        """The sequences of this epoch."""
        return BatchLoader(self._training())

    def test_dataloader(self) -> BatchLoader:
        """The test text, in order."""
        return self._evaluation(self._test, self.settings.test_batch_size)
