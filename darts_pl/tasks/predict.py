"""task=predict: what a trained network says about photos, arrays or a text."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darts_pl import atomic
from darts_pl.data.announce import warn
from darts_pl.errors import UserError
from darts_pl.inference import ImageClassifier, TextModel, with_description
from darts_pl.inference.samples import Answer, Samples
from darts_pl.records.folder import Summary
from darts_pl.runs.hardware import device_of_hardware
from darts_pl.settings import at_least, setting
from darts_pl.tasks.declarations.registry import TaskSettings
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.counting import counted
from darts_pl.tasks.execution.described import describe_trained
from darts_pl.tasks.execution.trained import find_trained

#: The table in the run's folder.
TABLE = "predictions.csv"
#: Images whose classes are printed one below the other.
MOST_SHOWN = 3

#: The name of an image, and names and probabilities of its most probable classes.
Row = tuple[str, list[tuple[str, float]]]


@dataclass(frozen=True, kw_only=True)
class PredictSettings(TaskSettings):
    """What a trained network says about new samples."""

    top: int = setting("how many classes or next words are listed, the most probable first", at_least(1))


def predict(context: Context) -> Summary:
    """Ask what `run=` or `checkpoint=` names about `input=`, print and write the answers, and return the summary.

    Raises:
        UserError: if there is no such network, or nothing that it can read.
    """
    started = time.monotonic()
    config = context.config
    if config.input is None:
        raise UserError(
            "input is missing; give input=PHOTO, a folder of photos, FILE.npz, or a text for language models"
        )
    trained = find_trained(context)
    place = config.run or str(trained.checkpoint)
    model = with_description(trained.network, describe_trained(trained), place)
    if model.missing:
        raise UserError(
            f"{place}: {', '.join(model.missing)} of its data are not stored with this network; name the data that it "
            "was trained on: data=... data.path=..."
        )
    model.to(device_of_hardware(config.hardware))
    path = Path(config.input).expanduser()
    about = _about_text(model, path, config.task.top) if isinstance(model, TextModel) else None
    if isinstance(model, ImageClassifier):
        about = _about_images(model, path, context)
    assert about is not None
    summary: Summary = {
        "task": "predict",
        "checkpoint": str(trained.checkpoint),
        "input": str(path),
        **about,
        "seconds": round(time.monotonic() - started, 3),
    }
    context.folder.write_summary(summary)
    return summary


def _about_images(model: ImageClassifier, path: Path, context: Context) -> Summary:
    top = min(context.config.task.top, model.classes)
    count, answers = Samples(path).answers(model)
    good: list[Row] = []
    broken: list[Answer] = []
    for answer in counted(answers, count, "predict", "images"):
        if answer.prediction is None:
            broken.append(answer)
            warn(f"passed over: {answer.reason}")
        else:
            good.append((answer.sample, answer.prediction.top(top)))
    if not good:
        raise UserError(
            broken[0].reason if count == 1 else f"input={path}: none of its {count} photos can be read; see above"
        )
    table = context.folder.path / TABLE
    atomic.write(table, _table(good, top))
    _print(good)
    if model.why_numbers is not None:
        print(f"\nclasses are numbers: {model.why_numbers}")
    if len(good) > MOST_SHOWN:
        print(f"\nwrote {table}")
    return {"images": len(good), "passed_over": len(broken), "table": str(table)}


def _table(answers: Sequence[Row], top: int) -> str:
    """One row per image: its name, then class and probability of the most probable classes."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    ranks = ["" if rank == 1 else f"_{rank}" for rank in range(1, top + 1)]
    table.writerow(["input", *(f"{name}{rank}" for rank in ranks for name in ("class", "probability"))])
    for sample, pairs in answers:
        table.writerow([sample, *(value for name, probability in pairs for value in (name, f"{probability:.7f}"))])
    return text.getvalue()


def _print(answers: Sequence[Row]) -> None:
    """A few images with their classes one below the other, more of them in one line each."""
    print()
    if len(answers) <= MOST_SHOWN:
        for sample, pairs in answers:
            print(sample)
            for name, probability in pairs:
                print(f"  {probability:.4f}  {name}")
        return
    for line in _counts(answers):
        print(line)


def _counts(answers: Sequence[Row]) -> Iterator[str]:
    """How many images each class was given, the most frequent first."""
    counts: dict[str, int] = {}
    for _, ((name, _), *_) in answers:
        counts[name] = counts.get(name, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    width = len(f"{ordered[0][1]:,}")
    yield "images  class"
    for name, count in ordered[:20]:
        yield f"{count:>{max(width, 6)},}  {name}"
    if len(ordered) > 20:
        yield f"and {len(ordered) - 20} more classes"


def _about_text(model: TextModel, path: Path, top: int) -> Summary:
    if not path.exists():
        raise UserError(f"input={path}: there is no such file")
    if path.is_dir():
        raise UserError(f"input={path}: is a folder; this network is a language model and reads a UTF-8 text file")
    found = model.predict(path)
    print()
    if found.perplexity is not None:
        print(f"perplexity {found.perplexity:.2f} over {found.words:,} words")
    if found.unknown:
        what = "left out" if found.left_out else "read as <unk>"
        shown = ", ".join(found.unknown[:5]) + (", ..." if len(found.unknown) > 5 else "")
        many = "1 word is" if len(found.unknown) == 1 else f"{len(found.unknown)} words are"
        print(f"not in the vocabulary: {many} {what}: {shown}")
    print("likely next words")
    for word, probability in found.top(top):
        print(f"  {probability:.4f}  {word}")
    return {
        "perplexity": found.perplexity,
        "words": found.words,
        "unknown_words": len(found.unknown),
        "left_out": found.left_out,
        "next_word": found.top(1)[0][0],
    }
