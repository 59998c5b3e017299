"""The contract of a table: what is known of every genotype of a space whose genotypes have all been trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from darts_pl.genotype import Genotype


class Table(ABC):
    """Scores of all genotypes of a space.

    A table describes a search and its result. No selection rule, schedule or objective of the program reads it;
    a user may name one of its values as the objective of a sweep. The evaluator "table" reads `validation` alone.

    Attributes:
        main: name of the score by which genotypes are compared unless another one is named.
    """

    main: ClassVar[str]

    @abstractmethod
    def covers(self, genotype: Genotype) -> bool:
        """Whether the table has this genotype; one of a cell of another size, for example, is not in it."""

    @abstractmethod
    def genotype(self, number: int) -> Genotype:
        """The genotype of a number of the table.

        Raises:
            UserError: if there is no such number.
        """

    @abstractmethod
    def score(self, genotype: Genotype, by: str | None = None) -> float:
        """One score of a genotype.

        Args:
            genotype: one that the table covers.
            by: which score; None = the main one.

        Raises:
            UserError: if the table does not have the genotype or the score.
        """

    @abstractmethod
    def validation(self, genotype: Genotype, epochs: int) -> tuple[float, float]:
        """What a search may know of a genotype: its validation score after a training, and the training's seconds.

        Args:
            genotype: one that the table covers.
            epochs: of the training.

        Raises:
            UserError: if the table has no trainings of so many epochs; the message lists those that it has.
        """

    @abstractmethod
    def summary(self, genotype: Genotype) -> Mapping[str, float]:
        """The values that a search writes into its summary, by names such as "table/rank"."""

    @abstractmethod
    def preview(self, genotype: Genotype) -> Mapping[str, float]:
        """The values that a search logs after each epoch, by names such as "search/table_cifar10_test"."""

    @abstractmethod
    def describe(self, genotype: Genotype, by: str | None = None) -> Sequence[str]:
        """Everything that the table says of a genotype, in lines."""

    @abstractmethod
    def describe_top(
        self,
        count: int,
        by: str | None = None,
        *,
        max_parameters: float | None = None,
        max_multiply_adds: float | None = None,
    ) -> tuple[Sequence[Genotype], Sequence[str]]:
        """The best genotypes, best first, and a table of them in lines.

        Args:
            count: how many.
            by: which score; None = the main one.
            max_parameters, max_multiply_adds: limits of the final network; None = any.

        Raises:
            UserError: if there is no such score, or no genotype keeps to the limits.
        """
