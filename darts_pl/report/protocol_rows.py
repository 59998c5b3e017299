"""What a protocol found for one architecture, and what may be said of two of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from darts_pl.report.statistics import (
    Difference,
    difference_of_accuracies,
    paired_difference,
    statistics_of,
    widened,
    wilson,
)

#: Below this fall of the entropy the mixing weights are still nearly uniform.
SEARCHED = 0.05


@dataclass(frozen=True)
class Cost:
    """What a stage cost.

    Args:
        seconds: of wall-clock time.
        steps: of the optimizer of the weights.
        samples: images, or words, in the batches.
    """

    seconds: float = 0.0
    steps: int = 0
    samples: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.steps + other.steps, self.samples + other.samples)


@dataclass(frozen=True)
class ProtocolRow:
    """One architecture, or one way to find one.

    Args:
        name: what the tables call it.
        method: kind of search.
        choice: seed -> score on the valid split of the cell of that seed (an accuracy in 0 ... 1, or a perplexity);
            None for a training that failed.
        valid_count: samples of the valid split.
        finals: seed -> score on the test split of a full training of the chosen cell.
        test_count: samples of the test split.
        chosen: seed of the chosen cell.
        genotype: the chosen one.
        parameters: of its final network.
        operations: candidates besides "none".
        entropy_fall: how far the entropy of the mixing weights fell in the searches, 0 ... 1; None without a search.
        search: cost of all searches, with the selection rule.
        selection: cost of the short trainings.
        final: cost of the full trainings.
    """

    name: str
    method: str
    choice: Mapping[int, float | None] = field(default_factory=dict)
    valid_count: int | None = None
    finals: Mapping[int, float] = field(default_factory=dict)
    test_count: int | None = None
    chosen: int | None = None
    genotype: str | None = None
    parameters: int | None = None
    operations: int | None = None
    entropy_fall: float | None = None
    search: Cost = Cost()
    selection: Cost = Cost()
    final: Cost = Cost()

    @property
    def scores(self) -> dict[int, float]:
        """The scores on the valid split without those that failed."""
        return {seed: score for seed, score in self.choice.items() if score is not None}

    @property
    def searched(self) -> bool:
        """Whether the mixing weights moved enough for the cell to be a result of the search."""
        return self.entropy_fall is None or self.entropy_fall >= SEARCHED


@dataclass(frozen=True)
class Measure:
    """How an architecture is scored.

    Args:
        name: "accuracy" or "perplexity".
        samples: what is counted, such as "images".
    """

    name: str
    samples: str

    @property
    def more_is_better(self) -> bool:
        """Whether a larger score is a better one."""
        return self.name == "accuracy"

    def shown(self, score: float) -> str:
        """A score as it is written: an accuracy in percent."""
        return f"{100 * score:.2f}" if self.more_is_better else f"{score:.2f}"

    def difference(self, value: float) -> str:
        """A difference of two scores, with its sign: of accuracies in percentage points."""
        rounded = round(100 * value if self.more_is_better else value, 2)
        return f"{rounded + 0.0:+.2f}"  # without the sign of -0.0

    def interval(self, score: float, count: int | None) -> tuple[float, float] | None:
        """The 95 % interval of an accuracy on `count` independent samples; None for a perplexity."""
        return wilson(round(score * count), count) if self.more_is_better and count else None

    def for_other_samples(
        self, found: Difference, first: Mapping[int, float], second: Mapping[int, float], count: int | None
    ) -> Difference:
        """The difference of two rows with an interval that also holds for other samples than those of the split.

        Trainings of one cell differ by their seeds only, and all are scored on the same samples; the spread over seeds
        alone would leave out what the samples contribute. A perplexity keeps its interval.

        Args:
            found: over the seeds that both rows have.
            first, second: seed -> score.
            count: samples of the split.
        """
        if not self.more_is_better or not count:
            return found
        shared = [seed for seed in first if seed in second]
        ours, theirs = (statistics_of([one[seed] for seed in shared]).mean for one in (first, second))
        low, high = difference_of_accuracies(ours, theirs, count)
        return widened(found, found.mean - low, high - found.mean)


@dataclass(frozen=True)
class Comparison:
    """Two rows on the same seeds.

    Args:
        first, second: their names.
        split: "valid" (the cells of the same seeds) or "test" (trainings of the chosen cells with the same seeds).
        difference: first minus second.
        verdict: what may be said of the first.
    """

    first: str
    second: str
    split: str
    difference: Difference
    verdict: str


def comparisons(rows: Sequence[ProtocolRow], measure: Measure) -> Iterator[Comparison]:
    """The paired differences of all pairs of rows that share two seeds or more, on the valid and on the test split."""
    for first, second in combinations(rows, 2):
        for split, ours, theirs in (
            ("valid", first.scores, second.scores),
            ("test", first.finals, second.finals),
        ):
            found = paired_difference(ours, theirs)
            if found is not None and found.n >= 2:
                if split == "test":
                    found = measure.for_other_samples(found, ours, theirs, first.test_count)
                yield Comparison(
                    first.name, second.name, split, found, found.verdict(more_is_better=measure.more_is_better)
                )


def rows_to_json(rows: Sequence[ProtocolRow]) -> str:
    """The rows as JSON, which `rows_from_json` reads."""
    return json.dumps([asdict(row) for row in rows], indent=2) + "\n"


def rows_from_json(text: str) -> list[ProtocolRow]:
    """The rows that `rows_to_json` wrote.

    Raises:
        ValueError, TypeError, KeyError: if the text is anything else.
    """
    return [_row(values) for values in json.loads(text)]


def _row(values: Mapping[str, Any]) -> ProtocolRow:
    by_seed = {key: {int(seed): score for seed, score in values[key].items()} for key in ("choice", "finals")}
    costs = {key: Cost(**values[key]) for key in ("search", "selection", "final")}
    return ProtocolRow(**{**values, **by_seed, **costs})
