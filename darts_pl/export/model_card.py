"""The model card of an exported network: what it is, how it was made, how good it is, and where its limits are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from darts_pl.export.formats import Job
from darts_pl.inference import ImageClassifier
from darts_pl.report import accuracy_interval, cell_text
from darts_pl.spaces import count_multiply_adds, count_parameters

#: Class names that are listed in the text.
MOST_NAMES = 50
#: Settings of a training that say nothing to a reader.
_SILENT = ("network", "path")


def model_card(job: Job, drawing: str) -> str:
    """The card as Markdown with the header that model hubs read.

    Args:
        job: the network and what the folder of its run says.
        drawing: file with the picture of the cells.
    """
    description = job.model.description
    classifies = isinstance(job.model, ImageClassifier)
    what = "image classifier" if classifies else "language model"
    parts = [
        _header(job),
        f"# {what.capitalize()} trained on {description.data or 'data that are not known'}",
        f"A small {what} whose cells were found or chosen by architecture search, built and trained with darts_pl.",
        "## Use",
        '```python\nimport darts_pl\n\nnetwork = darts_pl.load("FOLDER")  # this folder\n'
        + (
            'print(network.predict("photo.jpg"))\n```'
            if classifies
            else 'print(network.predict("the first words of a text"))\n```'
        ),
        *_reads(job),
        "## Data",
        *_data(job),
        "## Training",
        *_training(job),
        "## Scores",
        *_scores(job),
        "## Network",
        *_network(job, drawing),
        "## Limits",
        *_limits(job),
        "## Licence",
        f"The weights are under the licence `{job.license}`."
        if job.license
        else "No licence has been chosen for the weights. Whoever publishes them adds `license:` to the header above; "
        "the licence of the training data may limit the choice.",
    ]
    return "\n\n".join(parts) + "\n"


def _header(job: Job) -> str:
    classifies = isinstance(job.model, ImageClassifier)
    lines = ["---", "library_name: darts_pl"]
    lines += [f"pipeline_tag: {'image-classification' if classifies else 'text-generation'}"]
    lines += [f"license: {json.dumps(job.license)}"] if job.license else []
    lines += ["tags:", "- neural-architecture-search", "- darts", "- pytorch", "---"]
    return "\n".join(lines)


def _reads(job: Job) -> Iterator[str]:
    model = job.model
    if not isinstance(model, ImageClassifier):
        yield f"It knows {len(model.words):,} words." if not model.missing else "Its words are not stored with it."
        return
    image = model.input
    size = f"{image.height}x{image.width}" if image.height else "unknown size"
    how = f"; photos: the shorter side is resized to {image.resize}, the centre is cropped" if image.photos else ""
    yield f"It reads images of {size} pixels with {image.channels} channels{how}."
    if image.mean is not None and image.std is not None:
        deviation = _numbers(image.std)
        yield f"Normalisation: mean {_numbers(image.mean)}, standard deviation {deviation} of pixels in [0, 1]."
    names = model.class_names
    if names is None:
        yield f"Its {model.classes} classes are numbers: {model.why_numbers or 'no names are stored'}."
        return
    more = f" and {len(names) - MOST_NAMES} more (`config.json` lists all)" if len(names) > MOST_NAMES else ""
    yield f"Its {len(names)} classes: {', '.join(names[:MOST_NAMES])}{more}."


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)


def _data(job: Job) -> Iterator[str]:
    splits = {name: one for name, one in job.data.items() if isinstance(one, Mapping) and "count" in one}
    noun = "images" if isinstance(job.model, ImageClassifier) else "words"
    if not splits:
        yield "Nothing is known about the data but their name."
        return
    rows = [f"| {name} | {one['count']:,} | {one.get('content', '')} |" for name, one in splits.items()]
    yield "\n".join([f"| split | {noun} | checksum |", "| --- | ---: | --- |", *rows])


def _training(job: Job) -> Iterator[str]:
    summary, recipe = job.summary, job.configuration.get("train", {})
    if not summary:
        yield "Nothing is known about the training: the network came as a checkpoint."
        return
    done = [f"{summary[key]:,} {key}" for key in ("epochs", "steps") if isinstance(summary.get(key), int)]
    yield f"Trained for {' and '.join(done)} with seed {summary.get('seed')}."
    rows = [f"| {key} | {value} |" for key, value in recipe.items() if value is not None and key not in _SILENT]
    if rows:
        yield "\n".join(["| setting | value |", "| --- | --- |", *rows])


def _scores(job: Job) -> Iterator[str]:
    summary = job.summary
    accuracy, perplexity = summary.get("test/accuracy"), summary.get("test/perplexity")
    tested = job.data.get("test", {})
    count = tested.get("count") if isinstance(tested, Mapping) else None
    if isinstance(accuracy, float):
        line = f"Accuracy on the test split: {accuracy:.4f}"
        if isinstance(count, int):
            low, high = accuracy_interval(accuracy, count)
            line += f" (95 % interval {low:.4f} to {high:.4f}, {count:,} images)"
        best = summary.get("retrain/best_epoch")
        which = f"epoch {best}, the best on the part that validates" if isinstance(best, int) else "the last epoch"
        yield f"{line}. The test split was scored once, with the weights of {which}."
    elif isinstance(perplexity, float):
        yield f"Perplexity on the test text: {perplexity:.2f}" + (
            f" ({count:,} words)." if isinstance(count, int) else "."
        )
        unigram = summary.get("unigram/perplexity")
        if isinstance(unigram, float):
            yield f"Word frequencies alone reach {unigram:.2f}."
    else:
        yield "No score is known. `task=test` of darts_pl gives one."


def _network(job: Job, drawing: str) -> Iterator[str]:
    model = job.model
    sizes = [f"{count_parameters(model.network):,} parameters"]
    if isinstance(model, ImageClassifier) and model.input.height is not None and model.input.width is not None:
        shape = (model.input.channels, model.input.height, model.input.width)
        sizes.append(f"{count_multiply_adds(model.network, *shape):,} multiply-adds per image")
    yield f"{', '.join(sizes)}."
    genotype = model.description.genotype
    yield f"![the cells]({drawing})"
    yield f"```\n{cell_text(genotype).strip()}\n```"
    yield f"`{genotype}`"


def _limits(job: Job) -> Iterator[str]:
    if isinstance(job.model, ImageClassifier):
        yield (
            "It chooses among its classes whatever it is shown; an image of something else gets one of them too, and "
            "its probabilities are not calibrated. Images that differ from the training data in camera, light or size "
            "may be classified worse than the score says."
        )
    else:
        yield (
            "It predicts the next word of texts like its training text, from its vocabulary only. It repeats what that "
            "text says, true or not."
        )
    yield "One training with one seed: another seed gives another score, whose spread is not in the interval above."
