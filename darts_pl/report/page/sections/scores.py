"""The scores of a run with their uncertainty, beside those of random cells and of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from darts_pl.report.comparison import accuracy_interval
from darts_pl.report.page.blocks import Block, Facts, Interval, Intervals, Paragraph, Value
from darts_pl.report.page.run_files import RunFiles
from darts_pl.report.page.sections.registry import Report, section

#: What a table's columns are called besides accuracies, and what they mean.
MEANINGS = {
    "rank": "rank among all cells (1 is the best)",
    "percentile": "percent of the other cells that are worse",
    "regret": "percentage points below the best cell",
    "random_mean": "mean of all cells",
    "random_std": "standard deviation of all cells",
}


@section("scores", "Scores")
def scores(report: Report) -> Sequence[Block]:
    """Test scores of the found and of random cells, and what may be concluded."""
    run, summary = report.run, report.run.summary
    if report.compared:
        return []
    blocks: list[Block] = []
    for name in ("random/conclusion", "compare/conclusion"):
        if isinstance(summary.get(name), str):
            blocks.append(Paragraph(str(summary[name])))
    for score, label in (("accuracy", "accuracy on the test split"), ("perplexity", "perplexity on the test split")):
        rows = list(_rows(run, score))
        if rows:
            title = f"Test {score}" + (" with 95 % intervals" if score == "accuracy" else "")
            blocks.append(Intervals(f"test_{score}", title, x_label=label, rows=rows))
    blocks += _table(run)
    return blocks


def _rows(run: RunFiles, score: str) -> Iterator[Interval]:
    summary = run.summary
    found = summary.get(f"test/{score}")
    if not isinstance(found, (int, float)) or run.protocol:
        return
    images = summary.get("test/images")
    if not isinstance(images, int):
        data = next((part.data for _, part in run.everything if part.data.get("test")), {})
        images = data["test"].get("count") if data and data.get("kind") != "text" else None

    def interval(value: float) -> tuple[float | None, float | None]:
        return accuracy_interval(value, images) if score == "accuracy" and isinstance(images, int) else (None, None)

    yield Interval("found cell" if run.task != "retrain" else "this training", float(found), *interval(float(found)))
    numbers = range(1, int(summary.get("random/cells") or 0) + 1)
    for number in numbers:
        value = summary.get(f"random/test_{score}_{number}")
        if isinstance(value, (int, float)):
            yield Interval(f"random cell {number}", float(value), *interval(float(value)))
    other = summary.get(f"compare/test_{score}")
    if isinstance(other, (int, float)):
        yield Interval(str(summary.get("compare/network")), float(other), *interval(float(other)))
    baseline = summary.get("unigram/perplexity")
    if score == "perplexity" and isinstance(baseline, (int, float)):
        yield Interval("word frequencies alone", float(baseline))


def _readable(name: str) -> str:
    """Such as "CIFAR-10 test" for "cifar10_test"."""
    return re.sub(r"^cifar(\d+)", r"CIFAR-\1", name.replace("_", " ").replace("imagenet16", "ImageNet-16-120"))


def _table(run: RunFiles) -> list[Block]:
    """What the table of the space says of the found genotype."""
    values = {name.removeprefix("table/"): value for name, value in run.summary.items() if name.startswith("table/")}
    if not values:
        return []
    rows: list[tuple[str, Value]] = [(MEANINGS.get(name, _readable(name)), value) for name, value in values.items()]
    text = "What the table of the benchmark says of the found cell (accuracies in percent):"
    blocks: list[Block] = [Paragraph(text), Facts(rows)]
    main = next((name for name in values if name.endswith("_test")), None)
    mean, std, regret = (values.get(name) for name in ("random_mean", "random_std", "regret"))
    if main is not None and isinstance(mean, (int, float)):
        found = float(values[main])
        lines = [Interval("found cell", found)]
        if isinstance(regret, (int, float)):
            lines.append(Interval("best cell of the table", found + float(regret)))
        low, high = (mean - std, min(mean + std, 100.0)) if isinstance(std, (int, float)) else (None, None)
        lines.append(Interval("all cells, mean ± std", float(mean), low, high))
        title = f"{_readable(main)} accuracy in the table"
        blocks.append(Intervals("table", title, x_label="accuracy in percent", rows=lines))
    return blocks
