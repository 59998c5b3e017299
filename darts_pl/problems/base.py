"""The contract of a problem: data, scores and LightningModules that belong together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from darts_pl.config import Config
from darts_pl.data.identity import Identity
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.latency import FinalNetworks
from darts_pl.modules import Scores
from darts_pl.records import NetworkDescription
from darts_pl.records.folder import Summary
from darts_pl.registry import Registry
from darts_pl.selection import Size
from darts_pl.spaces import Outcome, Supernet, space_of


@dataclass(frozen=True)
class Training:
    """A final network that is to be trained.

    Args:
        module: the network in its LightningModule.
        data: what it is trained on, and tested or validated on.
        facts: sizes of network and data, for the summary.
        callbacks: beside those that every run has.
        grad_clip: largest gradient norm.
        accumulate: batches per optimizer step.
        tests_checkpoint: whether the test reads the weights from the checkpoint instead of the module.
        after: what the summary says once the training is over.
        validate_at_end: whether a valid split is scored after the last epoch only.
        score: what a choice among genotypes maximises, from the metrics and what `after` says; None where there is
            no valid split to choose by.
        description: what the network is and reads, which is stored with it.
    """

    module: pl.LightningModule
    data: pl.LightningDataModule
    facts: Summary
    callbacks: Sequence[Callback] = ()
    grad_clip: float | None = None
    accumulate: int = 1
    tests_checkpoint: bool = False
    after: Callable[[], Summary] = dict
    validate_at_end: bool = False
    score: Callable[[Mapping[str, Any]], float] | None = None
    description: NetworkDescription | None = None


@dataclass(frozen=True)
class Testing:
    """A trained network that is to be scored on the test split; see `Training`."""

    module: pl.LightningModule
    data: pl.LightningDataModule
    facts: Summary


class Problem(ABC):
    """One data set with what is searched, trained and scored on it.

    Args:
        config: of the command.

    Attributes:
        gives: the kind of data that a space reads, such as "images".
        samples: what is counted on such data, such as "words".
        examples: values of `data` that hold such data, for messages.
    """

    gives: ClassVar[str]
    samples: ClassVar[str]
    examples: ClassVar[str]

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    @abstractmethod
    def facts(self) -> Mapping[str, int]:
        """Sizes that the data determine: what a space builds its supernet from."""

    @abstractmethod
    def identity(self) -> Identity:
        """What tells the data from others: counts, shapes, classes and a checksum."""

    @abstractmethod
    def scores(self) -> Scores:
        """The metrics of one split of a search."""

    @abstractmethod
    def count(self, outcome: Outcome, batch: Any) -> tuple[int, Tensor | None]:
        """Samples of a batch, and how many of them are right (None where there are no classes)."""

    @abstractmethod
    def search_data(self, supernet: Supernet) -> pl.LightningDataModule:
        """Paired batches of the two halves of a search.

        Raises:
            UserError: if the data do not fit the settings.
        """

    @abstractmethod
    def training(self, genotype: Genotype, *, halves: bool = False) -> Training:
        """The final network of a genotype, to be trained.

        Args:
            genotype: of a kind that fits the data.
            halves: train on the train split of a search and validate on its valid split, as for a choice among
                genotypes. The data then have no test loader, and the facts give `valid_samples`. Otherwise train on
                the training split and test on the test split.

        Raises:
            UserError: if the data do not fit the settings.
        """

    def size(self, genotype: Genotype) -> Size:
        """How large the final network of a genotype is with the sizes in `train`.

        Raises:
            UserError: if genotype, data and training recipe do not fit each other, or nobody counts here.
        """
        raise UserError(f"data={self.config.data.name}: the size of networks for such data is not known")

    def final_networks(self) -> FinalNetworks:
        """The final networks with the sizes in `train`, on the device that `hardware` names.

        Raises:
            UserError: if the latency of such networks is not measured, or the device is not available.
        """
        raise UserError(f"data={self.config.data.name}: the latency of networks for such data is not measured")

    def known_network(self, name: str) -> Training:
        """A network that is not ours, to be trained as `train` says and compared.

        Args:
            name: of a classifier of torchvision.

        Raises:
            UserError: if there is none of that name, or it does not read such data.
        """
        raise UserError(
            f"compare={name}: networks of torchvision classify images, and data={self.config.data.name} is not"
        )

    @abstractmethod
    def testing(self, network: Any, checkpoint: Path) -> Testing:
        """A trained network, to be scored.

        Args:
            network: as `load_network` gives it.
            checkpoint: where it comes from, for messages.

        Raises:
            UserError: if it was trained for other data.
        """

    def describe(self, genotype: Genotype, data: Any = None) -> NetworkDescription | None:
        """What a network of this genotype is and reads, for those who use it; None = nobody can tell.

        Args:
            genotype: what it is built from.
            data: its data module, where there is one already.
        """
        return None

    @classmethod
    @abstractmethod
    def load_network(cls, checkpoint: Path, genotype: Genotype, dtype: torch.dtype) -> Any:
        """The final network in a checkpoint, ours or the authors', in evaluation mode.

        Args:
            checkpoint: the file.
            genotype: what the network was built from.
            dtype: of its weights, whatever that of the file is.

        Raises:
            UserError: if the file is no such checkpoint, or its network has another genotype.
        """

    def check_genotype(self, genotype: Genotype) -> None:
        """Raise UserError unless genotype, data and training recipe fit each other."""
        config, space = self.config, space_of(genotype.kind)
        if space.training is None:
            raise UserError(space.no_network)
        if space.data != self.gives:
            other = problem_that_gives(space.data)
            raise UserError(
                f"a {space.adjective} genotype builds {space.builds}, but data={config.data.name} holds {self.gives}\n"
                f"use {other.examples}, or {_genotype_for(self.gives)}"
            )
        if config.train.network != space.training:
            raise UserError(
                f"train.network={config.train.network} does not train a {space.adjective} genotype; "
                f"use train={space.recipe}"
            )

    def refuse_other(self, checkpoint: Path, what: str, ours: int, theirs: int) -> None:
        """Raise UserError where a network was made for another number of something."""
        if ours != theirs:
            raise UserError(
                f"{checkpoint}: a network for {ours} {what}, but data={self.config.data.name} has {theirs}\n"
                "give the data that it was trained on: data=... data.path=..."
            )


#: By `data.kind`, what is searched and trained on such data.
PROBLEMS: Registry[type[Problem]] = Registry("kind of data")


def open_problem(config: Config) -> Problem:
    """The problem that the configuration's data pose.

    Raises:
        UserError: if the data are missing or malformed.
    """
    return PROBLEMS.get(config.data.kind)(config)


def problem_that_gives(data: str) -> type[Problem]:
    """The first problem whose data are of the kind that a space reads."""
    return next(problem for problem in _problems() if problem.gives == data)


def _problems() -> Iterable[type[Problem]]:
    return (PROBLEMS.get(name) for name in PROBLEMS)


def _genotype_for(data: str) -> str:
    from darts_pl.spaces import SPACES

    fitting = next(SPACES.get(name) for name in SPACES if SPACES.get(name).data == data)
    return f"a {fitting.adjective} genotype such as genotype={fitting.example}"
