"""format=folder: what model hubs expect, and `darts_pl.load` reads back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from darts_pl.errors import UserError
from darts_pl.export.calls import Call, call_of, called
from darts_pl.export.formats import FORMATS, Job, Written
from darts_pl.export.model_card import model_card
from darts_pl.inference import CARD, CONFIG, EXPORTED, WEIGHTS, load
from darts_pl.report import save_cells


@FORMATS.register("folder")
def write_folder(job: Job) -> Written:
    """`network/` with weights (safetensors), config.json, a model card and the drawing of the cells.

    It is written under another name and renamed when it is complete.
    """
    path = job.folder / EXPORTED
    if path.exists():
        raise UserError(f"{path}: exists already; choose another hydra.run.dir")
    temporary = path.with_name(f".{EXPORTED}.writing")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        _fill(temporary, job)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    call = _read_back(path, job.call)
    return Written(path, list(call.inputs), lambda inputs: called(call.network, inputs))


def _fill(folder: Path, job: Job) -> None:
    network = job.model.network
    tensors: dict[str, Tensor] = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt", **job.metadata})
    drawing, _ = save_cells(job.model.description.genotype, folder)
    config = {"model_type": "darts_pl", "library_name": "darts_pl", **job.model.description.to_plain()}
    (folder / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / CARD).write_text(model_card(job, drawing.name), encoding="utf-8")


def _read_back(path: Path, call: Call) -> Call:
    """How the network in the written folder is called."""
    loaded = load(path, dtype=torch.float32)
    return call_of(loaded, preprocessing=call.outputs == ("probabilities",))
