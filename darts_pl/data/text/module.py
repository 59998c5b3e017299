"""LightningDataModules for text: paired streams for a search, one stream for a training."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from darts_pl.data.loader import BatchLoader
from darts_pl.data.module import DataModule
from darts_pl.data.settings import Loading, TextSettings
from darts_pl.data.text.batches import EvaluationSequences, Lengths, PairedSequences, TrainSequences, columns
from darts_pl.data.text.corpus import Corpus
from darts_pl.errors import UserError


class TextData(DataModule):
    """What `SearchText` and `RetrainText` share: texts on the training device, columns of ranks.

    Batches are ``(tokens, targets)``, int64 [T, B], on the Trainer's device. Every epoch has its
    own number of sequences, so the Trainer asks for the train dataloader again in each.

    Args:
        corpus: the three parts of the text.
        settings: the section `data`.
        loading: what the task says about batches.
        lengths: of the training sequences.

    Raises:
        UserError: if a setting is out of its range, or a text is shorter than one batch.
    """

    settings: TextSettings

    def __init__(self, corpus: Corpus, settings: TextSettings, loading: Loading, lengths: Lengths) -> None:
        super().__init__(corpus, settings, loading)
        self.lengths = lengths
        self.vocabulary = len(corpus.words)
        self._name = corpus.name
        self._train, self._valid = corpus.train, corpus.valid
        self._check("train", corpus.train, loading.batch_size_key, loading.batch_size)
        self._check("valid", corpus.valid, "data.eval_batch_size", settings.eval_batch_size)
        self._rows: dict[str, Tensor] = {}

    @property
    def split_sizes(self) -> dict[str, int]:
        return {"train": len(self._train), "valid": len(self._valid)}

    def setup(self, stage: str) -> None:
        """Called by the Trainer before it asks for a dataloader."""
        if self.trainer is not None:
            trainer: Any = self.trainer  # Lightning declares this setting in no class
            trainer.reload_dataloaders_every_n_epochs = 1

    def val_dataloader(self) -> BatchLoader:
        """The validation text, in order."""
        return self._evaluation(self._valid, self.settings.eval_batch_size)

    def _training(self) -> TrainSequences:
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        return TrainSequences(self._columns("train", self._train), self.lengths, self.loading.seed, epoch)

    def _evaluation(self, tokens: Tensor, batch_size: int) -> BatchLoader:
        return BatchLoader(
            EvaluationSequences(tokens.to(self._device()), batch_size, self.lengths.bptt, *self._ranks())
        )

    def _columns(self, split: str, tokens: Tensor) -> Tensor:
        """This rank's columns of a text, moved to the training device when first asked for there."""
        device = self._device()
        if split not in self._rows or self._rows[split].device != device:
            rank, world_size = self._ranks()
            size = self.loading.batch_size
            self._check(split, tokens, self.loading.batch_size_key, size, world_size)
            mine = columns(tokens, size * world_size)[:, rank * size : (rank + 1) * size]
            self._rows[split] = mine.contiguous().to(device)
        return self._rows[split]

    def _check(self, split: str, tokens: Tensor, key: str, batch_size: int, world_size: int = 1) -> None:
        least = 2 * batch_size * world_size
        if len(tokens) < least:
            processes = f" in each of {world_size} processes" if world_size > 1 else ""
            raise UserError(
                f"the {split} text of {self._name} has {len(tokens)} words; {key}={batch_size}{processes} "
                f"needs {least} or more\ngive a longer text or a smaller {key}"
            )


class SearchText(TextData):
    """Paired batches: weights learn on the training text, alphas on the validation text.

    The test text is not kept, and there is no test dataloader.

    Raises:
        UserError: if a text is shorter than one batch.
    """

    def __init__(self, corpus: Corpus, settings: TextSettings, loading: Loading, lengths: Lengths) -> None:
        super().__init__(corpus, settings, loading, lengths)
        self._check("valid", corpus.valid, loading.batch_size_key, loading.batch_size)

    def train_dataloader(self) -> BatchLoader:
        """Pairs ``{"train": batch, "valid": batch}`` of this epoch."""
        return BatchLoader(PairedSequences(self._training(), self._columns("valid", self._valid)))


class HalfText(TextData):
    """Batches of the training text, and the validation text to score. There is no test dataloader.

    Raises:
        UserError: if a text is shorter than one batch.
    """

    def train_dataloader(self) -> BatchLoader:
        """The sequences of this epoch."""
        return BatchLoader(self._training())

    @property
    def valid_size(self) -> int:
        """Words of the validation text that are predicted."""
        return len(self._valid) - 1


class RetrainText(HalfText):
    """Batches of the training text, the validation text, and the test text to score once at the end.

    Raises:
        UserError: if a text is shorter than one batch.
    """

    def __init__(self, corpus: Corpus, settings: TextSettings, loading: Loading, lengths: Lengths) -> None:
        super().__init__(corpus, settings, loading, lengths)
        self._test = corpus.test
        self._check("test", corpus.test, "data.test_batch_size", settings.test_batch_size)

    @property
    def split_sizes(self) -> dict[str, int]:
        return {**super().split_sizes, "test": len(self._test)}

    def test_dataloader(self) -> BatchLoader:
        """The test text, in order."""
        return self._evaluation(self._test, self.settings.test_batch_size)
