"""What a trained network gets wrong: confusion matrix, worst images, perplexity along the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from darts_pl.report.page.blocks import Block, Curves, Image, Images, Matrix, Paragraph, Series, Table, Value
from darts_pl.report.page.run_files import RunFiles
from darts_pl.report.page.sections.registry import Report, section

#: With more classes, only the most frequent mistakes are listed.
MOST_CLASSES = 25
MOST_MISTAKES = 20


@section("test", "On the test split")
def test(report: Report) -> Sequence[Block]:
    """Of the training of the found cell."""
    if report.compared:
        return []
    tested = [(name, part) for name, part in report.run.everything if part.test]
    if not tested:
        return []
    name, run = next((pair for pair in tested if pair[1].genotype == report.run.genotype), tested[0])
    blocks: list[Block] = [*_confusion(run), *_worst(run), *_along(run)]
    if blocks and len(tested) > 1:
        blocks.insert(0, Paragraph(f"Of {len(tested)} tested networks this is the one in {name or 'this folder'}."))
    return blocks


def _names(run: RunFiles, count: int) -> list[str]:
    classes = run.data.get("classes")
    return [str(name) for name in classes] if isinstance(classes, list) else [str(index) for index in range(count)]


def _confusion(run: RunFiles) -> Iterator[Block]:
    counts = run.test.get("confusion")
    if counts is None:
        return
    names = _names(run, len(counts))
    right = np.diag(counts)
    if len(counts) <= MOST_CLASSES:
        wrong = counts - np.diag(right)
        values = [[float(value) for value in row] for row in counts]
        title = f"Confusion matrix: {int(right.sum()):,} right, {int(wrong.sum()):,} wrong"
        yield Matrix("confusion", title, names, names, values, "class", "predicted", frozenset(), 0)
    else:
        shown = [(int(counts[row, column]), row, column) for row, column in np.argwhere(counts) if row != column]
        rows: list[list[Value]] = [[names[row], names[column], count] for count, row, column in sorted(shown)[::-1]]
        yield Table(["class", "predicted", "images"], rows[:MOST_MISTAKES], "The most frequent mistakes")
    totals = counts.sum(1)
    by_class: list[list[Value]] = [
        [name, int(total), float(hits / total) if total else None]
        for name, total, hits in zip(names, totals, right, strict=True)
    ]
    yield Table(["class", "images", "fraction right"], by_class, "By class", folded=True)


def _worst(run: RunFiles) -> Iterator[Block]:
    images = run.test.get("worst_images")
    if images is None or not len(images):
        return
    names = _names(run, 1 + int(max(run.test["worst_labels"].max(), run.test["worst_predicted"].max())))
    items = []
    for index, pixels in enumerate(images):
        height, width = pixels.shape[:2]
        label, predicted = (names[int(run.test[f"worst_{key}"][index])] for key in ("labels", "predicted"))
        probability = float(run.test["worst_probability"][index])
        items.append(Image(
            np.ascontiguousarray(pixels).tobytes(), width, height,
            f"is {label}, seen as {predicted}; probability of {label} {probability:.2g}",
        ))  # fmt: skip
    yield Paragraph("The test images with the largest loss (their contrast is stretched):")
    yield Images(items)


def _along(run: RunFiles) -> Iterator[Block]:
    losses = run.test.get("place_loss")
    if losses is None or len(losses) < 2:
        return
    places = run.test["place_words"]
    series = [Series("", [float(place) for place in places], [float(value) for value in np.exp(losses)])]
    yield Curves(
        "perplexity_along", "Perplexity along the test text", "word of the text (of each column)", "perplexity", series
    )
