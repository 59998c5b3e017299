"""task=export: a trained network as a file or a folder that others can use."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from darts_pl import __version__
from darts_pl.export import FORMATS, Job, call_of, largest_difference, metadata, require_extra
from darts_pl.inference import ImageClassifier, with_description
from darts_pl.records import read_configuration
from darts_pl.records.folder import Summary
from darts_pl.runs.data_identity import read_data_identity
from darts_pl.settings import setting
from darts_pl.tasks.declarations.registry import TaskSettings
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.described import EVERYTHING, SIZE_ALONE, describe_trained
from darts_pl.tasks.execution.run_data import refuse_other_run_data
from darts_pl.tasks.execution.trained import Trained, find_trained

#: Formats that hold the preprocessing wherever it is known.
WITH_PREPROCESSING = ("folder", "source")


@dataclass(frozen=True, kw_only=True)
class ExportSettings(TaskSettings):
    """A trained network as a file or a folder."""

    preprocessing: bool = setting(
        "whether onnx and pt2 take uint8 images [batch, H, W, C] and return probabilities, instead of normalised "
        "images [batch, C, H, W] and logits"
    )
    license: str | None = setting("of the weights, in the model card of format=folder, such as mit; null = not chosen")


def export(context: Context) -> Summary:
    """Write what `run=` or `checkpoint=` names, check it against PyTorch, and return the summary.

    Raises:
        UserError: if there is no such network, it cannot be written in this format, or the extra that the format
            needs is not installed.
    """
    started = time.monotonic()
    settings, wanted = context.config.task, context.config.format or "onnx"
    write = FORMATS.get(wanted)
    trained = find_trained(context)
    refuse_other_run_data(trained, only_named=True)
    if wanted == "onnx":
        require_extra()
    prepares = settings.preprocessing or wanted in WITH_PREPROCESSING
    description = describe_trained(trained, EVERYTHING if prepares else SIZE_ALONE)
    model = with_description(trained.network.float(), description, context.config.run or str(trained.checkpoint))
    if wanted in WITH_PREPROCESSING:
        prepares = isinstance(model, ImageClassifier) and not model.missing
    call = call_of(model, preprocessing=prepares)
    facts = metadata(model, call, __version__)
    job = Job(model, call, context.folder.path, facts, license=settings.license, **_of_run(trained))
    written = write(job)
    difference = largest_difference(written, call)
    print(f"wrote {written.path}")
    for name, one in call.inputs.items():
        print(f"input {name!r}: {one.kind}, {one.meaning}")
    print(f"largest difference from PyTorch's {' and '.join(call.outputs)}: {difference:.1e}")
    summary: Summary = {
        "task": "export",
        "format": wanted,
        "checkpoint": str(trained.checkpoint),
        "file": str(written.path),
        "input": " ".join(written.inputs),
        "input_shape": " ".join(",".join(map(str, ("batch", *one.shape))) for one in call.inputs.values()),
        "largest_difference": difference,
        "seconds": round(time.monotonic() - started, 3),
    }
    context.folder.write_summary(summary)
    return summary


def _of_run(trained: Trained) -> dict[str, Any]:
    """What the folder of the run says, for a model card."""
    if trained.folder is None:
        return {}
    folder = trained.folder.path
    return {
        "summary": trained.summary,
        "configuration": read_configuration(folder) or {},
        "data": read_data_identity(folder) or {},
    }
