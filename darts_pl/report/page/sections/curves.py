"""Numbers over the epochs: losses, accuracies, entropy, a method's own quantities, throughput, memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from darts_pl.report.page.architecture import mixed_of
from darts_pl.report.page.blocks import Block, Curves, Series
from darts_pl.report.page.run_files import RunFiles
from darts_pl.report.page.sections.registry import Report, section

Named = Sequence[tuple[str, RunFiles]]

#: By stem of a metric's name, title and label of its plot, in the order of the page.
KNOWN: Mapping[str, tuple[str, str]] = {
    "loss": ("Loss", "loss in nats"),
    "accuracy": ("Accuracy", "accuracy"),
    "top5": ("Top-5 accuracy", "accuracy"),
    "perplexity": ("Perplexity", "perplexity"),
    "entropy": ("Entropy of the mixing weights", "nats"),
    "skip_connections": ("Skip connections in the preview genotype", "skip connections"),
    "second_to_first": ("Second-order term relative to the first-order gradient", "ratio of norms"),
    "table": ("Accuracy of the preview genotype in the table", "accuracy in percent"),
    "lr": ("Learning rates", "learning rate"),
}
#: Columns that are no quantities.
INDEX = ("epoch", "batches")
#: What a comparison of several runs draws, one plot for each.
COMPARED = ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "valid_perplexity", "skip_connections")


@section("search_curves", "The search, epoch by epoch")
def search_curves(report: Report) -> Sequence[Block]:
    """Every column of the search's metrics."""
    return _curves("search", report.searches)


@section("training_curves", "The training, epoch by epoch")
def training_curves(report: Report) -> Sequence[Block]:
    """Every column of the training's metrics; several trainings share their plots."""
    return _curves("retrain", report.trainings)


def _curves(prefix: str, runs: Named) -> list[Block]:
    groups: dict[str, list[tuple[str, RunFiles]]] = {}
    for name, run in runs:  # the stages of a protocol are different trainings
        groups.setdefault(name.partition("/")[0] if name.count("/") > 1 else "", []).append((name, run))
    found: list[Block] = []
    for group, members in groups.items():
        of_group = f"{prefix}_{group}" if group else prefix
        plots = _of_one(prefix, members[0][1]) if len(members) == 1 else _of_several(prefix, of_group, members)
        for plot in plots:
            if any(sum(value is not None for value in one.y) > 1 or len(one.y) == 1 for one in plot.series):
                found.append(replace(plot, title=f"{plot.title} ({group})") if group else plot)
    return found


def _of_one(prefix: str, run: RunFiles) -> Iterator[Curves]:
    """One plot per group of metrics."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for column in run.metrics:
        if column.startswith(f"{prefix}/"):
            name = column.removeprefix(f"{prefix}/")
            stem, label = stem_of(name, list(run.arrays))
            groups.setdefault(stem, []).append((label, column))
    order = [*(stem for stem in KNOWN if stem in groups), *(stem for stem in groups if stem not in KNOWN)]
    for stem in order:
        title, y_label = KNOWN.get(stem, (stem.replace("_", " ").capitalize(), ""))
        series = [Series(label, _epochs(run), run.metrics[column]) for label, column in groups[stem]]
        references = _equal_entropy(run) if stem == "entropy" else ()
        yield Curves(
            f"{prefix}_{stem}", title, y_label=y_label, series=_named(series), references=references,
            log_y=stem in ("lr", "perplexity") and _wide(series),
        )  # fmt: skip
    yield from _speed(prefix, [("", run)])


def _of_several(prefix: str, file: str, runs: Named) -> Iterator[Curves]:
    """One plot per metric, with a line per run."""
    columns = dict.fromkeys(name for _, run in runs for name in run.metrics if name.startswith(f"{prefix}/"))
    cell_types = list(dict.fromkeys(name for _, run in runs for name in run.arrays))
    for column in columns:
        name = column.removeprefix(f"{prefix}/")
        stem, label = stem_of(name, cell_types)
        if name not in COMPARED and stem != "entropy":
            continue
        title, y_label = KNOWN.get(stem, (stem, ""))
        series = [Series(key, _epochs(run), run.metrics[column]) for key, run in runs if column in run.metrics]
        series = [one for one in series if any(value is not None for value in one.y)]
        shown = f"{title}, {label}" if label != name.replace("_", " ") else title
        wide = stem == "perplexity" and _wide(series)
        yield Curves(f"{file}_{name}", shown, y_label=y_label, series=series, log_y=wide)
    yield from _speed(file, runs)


def stem_of(name: str, cell_types: Sequence[str]) -> tuple[str, str]:
    """The group of a metric and its label there: "train_loss" is ("loss", "train").

    Args:
        name: without the part before the slash.
        cell_types: whose names may end a metric's name.
    """
    for split in ("train", "valid"):
        if name.startswith(f"{split}_"):
            return name.removeprefix(f"{split}_"), split
    if name.startswith("table_"):
        return "table", name.removeprefix("table_").replace("_", " ")
    if name in ("lr", "lr_alphas"):
        return "lr", "weights" if name == "lr" else "alphas"
    for cell_type in cell_types:
        if name.endswith(f"_{cell_type}"):
            return name.removesuffix(f"_{cell_type}"), f"{cell_type} cell" if cell_type != "cell" else "cell"
    return name, name.replace("_", " ")


def _speed(prefix: str, runs: Named) -> Iterator[Curves]:
    """Throughput and memory where the run stored them, else the seconds of each epoch."""
    rates = [(name, run) for name, run in runs if run.throughput.get("samples_per_second")]
    if rates:
        for column, title, label in (
            ("samples_per_second", "Throughput", "samples per second"),
            ("peak_memory_mb", "Peak memory", "megabytes"),
        ):
            series = [
                Series(name, _from_one(run.throughput["epoch"]), run.throughput[column])
                for name, run in rates
                if column in run.throughput
            ]
            yield Curves(f"{prefix}_{column}", title, y_label=label, series=series)
        return
    series = [Series(name, _epochs(run), run.metrics["seconds"]) for name, run in runs if "seconds" in run.metrics]
    yield Curves(f"{prefix}_seconds", "Time per epoch", y_label="seconds", series=series)


def _epochs(run: RunFiles) -> list[float]:
    """The epochs of the rows, counted from 1."""
    rows = len(next(iter(run.metrics.values())))
    return _from_one(run.metrics.get("epoch", list(range(rows))))


def _from_one(epochs: Sequence[float | None]) -> list[float]:
    return [float(index if epoch is None else epoch) + 1 for index, epoch in enumerate(epochs)]


def _named(series: Sequence[Series]) -> list[Series]:
    """A single line needs no legend."""
    if len(series) == 1 and series[0].name not in ("train", "valid"):
        one = series[0]
        return [Series("", one.x, one.y)]
    return list(series)


def _wide(series: Sequence[Series]) -> bool:
    values = [value for one in series for value in one.y if value is not None and value > 0]
    return bool(values) and max(values) > 10 * min(values)


def _equal_entropy(run: RunFiles) -> list[tuple[str, float]]:
    """The entropy of equal weights, from which a search with few candidates per edge falls."""
    mixed = mixed_of(run)
    if mixed is None or run.setting("relaxation.name", "softmax") == "sigmoid":
        return []
    counts = {len(names) for cell in mixed.space.cells.values() for names in cell.candidates}
    return [("equal weights", math.log(max(counts)))] if len(counts) == 1 else []
