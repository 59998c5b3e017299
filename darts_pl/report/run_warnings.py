"""The warnings that a colleague would give who looks at a finished run: small functions of plain data.

Each looks at the rows of `metrics.csv` and at the summary, and gives its limit with the number that crossed it. The
limits are below, with their reasons; docs/runs.md lists them for users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from darts_pl.genotype import parse
from darts_pl.registry import Registry
from darts_pl.report.comparison import accuracy_interval, expected_perplexities
from darts_pl.report.graph import cell_title
from darts_pl.spaces import space_of

#: A fall of the entropy by 1 % means mixing weights that differ from equal ones by a fifth: for a softmax over n equal
#: candidates whose logits then spread with standard deviation s, the entropy is log(n) - s^2 (n-1) / 2n + ..., which
#: for n = 8 and s = 0.2 is 0.8 % below log(n). Below that, which candidate is strongest says next to nothing.
LEAST_ENTROPY_FALL = 0.01
#: More than half of the edges of a cell: among 7 candidates besides "none", 5 or more skip connections on 8 edges have
#: a probability of 0.2 % where operations are drawn uniformly. The cells of the DARTS paper have at most 3.
MOST_SKIPS = 0.5
#: A quarter of what the loss had gained is lost again. Fluctuations from epoch to epoch are smaller than that in
#: trainings that work; compared with the gain, they do not count where the loss is already near zero.
MOST_LOSS_RISE = 0.25
#: Where the loss never fell, a rise by more than 1 % counts.
LOSS_NOISE = 0.01
#: 0.5 nats: the network gives the right class of a test sample a probability that is, in the geometric mean,
#: exp(0.5) = 1.65 times smaller than for a training sample.
LARGEST_TEST_GAP = 0.5
#: BatchNorm's averages begin at 0 and 1 and move by a tenth per step: after 44 steps 1 % of that beginning is left.
SETTLED_STEPS = 44


@dataclass(frozen=True)
class RunWarning:
    """One warning.

    Args:
        name: of the function that gives it, such as "flat_entropy".
        message: one sentence or two: what is wrong, with its number, and what to do.
        about: the metric, where one function looks at several, such as "search/valid_loss"; else "".
        value: the number that crossed the limit.
        limit: see the constants of this module.
    """

    name: str
    message: str
    value: float
    limit: float
    about: str = ""

    @property
    def key(self) -> str:
        """Its name in the summary of a run, such as "warning/flat_entropy"."""
        return "/".join(filter(None, ("warning", self.name, self.about)))

    def to_plain(self) -> dict[str, Any]:
        """The same for `warnings.json`."""
        return asdict(self)


@dataclass(frozen=True)
class RunFacts:
    """What a warning may look at.

    Args:
        rows: of `metrics.csv`, one per epoch.
        summary: of the run.
        equal_entropies: by cell type the entropy of a search whose candidates all weigh the same.
    """

    rows: Sequence[Mapping[str, float]] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    equal_entropies: Mapping[str, float] = field(default_factory=dict)

    def column(self, name: str) -> list[float]:
        """The values of a metric in the last stage of a run, epoch by epoch; an epoch without it is left out."""
        last = self.rows[-1].get("search/stage") if self.rows else None
        return [float(row[name]) for row in self.rows if name in row and row.get("search/stage") == last]

    def number(self, name: str) -> float | None:
        """A number of the summary; None where there is none."""
        value = self.summary.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


#: Warnings by name. A user's module adds one with `@RUN_WARNINGS.register("name")`.
RUN_WARNINGS: Registry[Callable[[RunFacts], Iterator[RunWarning]]] = Registry("warning")


def run_warnings(facts: RunFacts) -> list[RunWarning]:
    """All warnings about a run, in the order of their registration."""
    return [found for name in RUN_WARNINGS for found in RUN_WARNINGS.get(name)(facts)]


@RUN_WARNINGS.register("flat_entropy")
def flat_entropy(facts: RunFacts) -> Iterator[RunWarning]:
    """The entropy of the mixing weights has hardly fallen below that of equal weights."""
    falls = {}
    for cell_type, largest in facts.equal_entropies.items():
        found = facts.column(f"search/entropy_{cell_type}")
        if found and largest > 0:
            falls[cell_type] = 1 - found[-1] / largest
    flat = {cell_type: fall for cell_type, fall in falls.items() if fall < LEAST_ENTROPY_FALL}
    if flat:
        numbers = ", ".join(f"{max(fall, 0):.2%} ({cell_type})" for cell_type, fall in flat.items())
        yield RunWarning(
            "flat_entropy",
            f"The entropy of the mixing weights has hardly fallen: {numbers}. This cell is almost arbitrary: use more "
            "epochs or a higher search.alphas.lr.",
            min(flat.values()),
            LEAST_ENTROPY_FALL,
        )


@RUN_WARNINGS.register("skip_collapse")
def skip_collapse(facts: RunFacts) -> Iterator[RunWarning]:
    """Most edges of a cell that a search found are skip connections."""
    text = facts.summary.get("genotype")
    if not isinstance(text, str) or facts.summary.get("task") not in ("search", "derive"):
        return
    genotype = parse(text)
    skip = space_of(genotype.kind).skip
    counts = {
        name: (sum(pair.operation == skip for pair in cell.pairs), len(cell.pairs))
        for name, cell in genotype.cells.items()
    }
    worst = max(counts, key=lambda name: counts[name][0] / max(counts[name][1], 1))
    skips, edges = counts[worst]
    if skip is not None and edges and skips / edges > MOST_SKIPS:
        total, among = (sum(column) for column in zip(*counts.values(), strict=True))
        cell = f", {skips} of {edges} in the {cell_title(genotype.kind, worst)}" if len(counts) > 1 else ""
        yield RunWarning(
            "skip_collapse",
            f"Collapse to skip connections ({total} of {among}{cell}): the network has few weights. Use fewer epochs, "
            "select=skip_limit, or a method against it, such as method=darts_minus or p_darts.",
            skips / edges,
            MOST_SKIPS,
        )


@RUN_WARNINGS.register("loss_rose")
def loss_rose(facts: RunFacts) -> Iterator[RunWarning]:
    """A loss ends well above its lowest value."""
    for part in ("search", "retrain"):
        for split, remedy in (
            ("train", f"use a lower learning rate ({'search.weights.lr' if part == 'search' else 'train.lr'})"),
            ("valid", "the later epochs made it worse: use fewer epochs, or more data"),
        ):
            losses = facts.column(f"{part}/{split}_loss")
            if len(losses) < 2:
                continue
            lowest, last = min(losses), losses[-1]
            limit = max(MOST_LOSS_RISE * (losses[0] - lowest), LOSS_NOISE * abs(lowest))
            if last - lowest > limit:
                yield RunWarning(
                    "loss_rose",
                    f"The {split} loss rose: {lowest:.3f} in epoch {losses.index(lowest) + 1}, {last:.3f} in the "
                    f"last, epoch {len(losses)}; {remedy}.",
                    last - lowest,
                    limit,
                    f"{part}/{split}_loss",
                )


@RUN_WARNINGS.register("test_gap")
def test_gap(facts: RunFacts) -> Iterator[RunWarning]:
    """The loss on the test split is far above that on the training split."""
    trained, tested = facts.number("retrain/train_loss"), facts.number("test/loss")
    if trained is None or tested is None or tested - trained <= LARGEST_TEST_GAP:
        return
    steps = facts.number("steps")
    if steps is not None and steps < SETTLED_STEPS:
        reason = (
            f"after {steps:.0f} steps the averages of BatchNorm are not settled. Train for {SETTLED_STEPS} or more."
        )
    else:
        reason = (
            "the network has learnt its training data by heart. Use more data, fewer epochs, more regularisation "
            "(train.weight_decay, augmentation, dropout) or a smaller network."
        )
    yield RunWarning(
        "test_gap",
        f"The test loss, {tested:.3f}, is far above the training loss, {trained:.3f}: {reason}",
        tested - trained,
        LARGEST_TEST_GAP,
    )


@RUN_WARNINGS.register("as_random")
def as_random(facts: RunFacts) -> Iterator[RunWarning]:
    """The score of the found cell does not differ from those of random cells within their intervals."""
    cells = facts.summary.get("random/cells")
    if not isinstance(cells, int):
        return
    for score in ("accuracy", "perplexity"):
        found = facts.number(f"test/{score}")
        numbers = [facts.number(f"random/test_{score}_{number}") for number in range(1, cells + 1)]
        others = [one for one in numbers if one is not None]
        if found is None or not others:
            continue
        images = facts.number("test/images")
        if score == "accuracy" and images is None:
            continue
        intervals = (
            [accuracy_interval(one, int(images or 1)) for one in (found, *others)]
            if score == "accuracy"
            else [(found, found), expected_perplexities(others)]
        )
        (low, high), theirs = intervals[0], intervals[1:]
        if low <= max(end for _, end in theirs) and high >= min(start for start, _ in theirs):
            mean = sum(others) / len(others)
            name = "a random cell" if len(others) == 1 else f"{len(others)} random cells"
            yield RunWarning(
                "as_random",
                f"The test {score} of the found cell, {found:.4g}, does not differ from that of {name}, {mean:.4g}, "
                "within the interval: nothing shows that the search helped. Use a longer search, more test data, or "
                "several seeds (task=protocol).",
                found - mean,
                0.0,
            )
