"""A network as one file that runs without this program: ONNX and torch.export."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import torch
from torch import Tensor

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.export.calls import Call, called
from darts_pl.export.formats import FORMATS, Job, Written

#: Name of the extra file in a pt2 archive.
METADATA = "metadata.json"


def traced(call: Call) -> torch.export.ExportedProgram:
    """The network for batches of any size."""
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(call.network, call.example(2), dynamic_shapes=({0: batch},) * len(call.inputs))


@FORMATS.register("pt2")
def write_pt2(job: Job) -> Written:
    """A program of torch.export, read by `torch.export.load`; its extra file `metadata.json` says what it is."""
    path = job.folder / "network.pt2"
    extra = {METADATA: job.metadata_json}
    atomic.write_with(path, lambda temporary: torch.export.save(traced(job.call), temporary, extra_files=extra))
    found = {METADATA: ""}
    program = torch.export.load(path, extra_files=found)
    check_metadata(path, found[METADATA], job.metadata_json)
    module = program.module()
    return Written(path, list(program.graph_signature.user_inputs), lambda inputs: called(module, inputs))


@FORMATS.register("onnx")
def write_onnx(job: Job) -> Written:
    """An ONNX program, read by onnxruntime and others; its metadata say what it is."""
    require_extra()
    import onnxruntime

    path = job.folder / "network.onnx"
    logging.getLogger("onnxscript.optimizer").setLevel(logging.ERROR)  # it tells what it leaves as it is
    program = torch.onnx.export(
        traced(job.call),
        input_names=list(job.call.inputs),
        output_names=list(job.call.outputs),
        verbose=False,
        dynamo=True,
    )
    assert program is not None
    program.model.metadata_props.update(job.metadata)
    atomic.write_with(path, lambda temporary: program.save(temporary, external_data=False))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    stored = session.get_modelmeta().custom_metadata_map
    for key, value in job.metadata.items():
        check_metadata(path, stored.get(key, ""), value)
    names = [entry.name for entry in session.get_inputs()]

    def run(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(output) for output in session.run(None, given))

    return Written(path, names, run)


def check_metadata(path: Path, found: str | bytes, expected: str) -> None:
    """RuntimeError where a file does not say what was written into it."""
    text = found.decode("utf-8") if isinstance(found, bytes) else found
    if text != expected:
        raise RuntimeError(f"{path}: its metadata differ from what was written")


def require_extra() -> None:
    """Raise UserError where the packages that ONNX needs are not installed."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"format=onnx needs {', '.join(missing)}: pip install 'darts-pl[export]' (in a checkout '.[export]')\n"
            "or write format=pt2, which needs nothing else"
        )
