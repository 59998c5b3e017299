"""task=export: a trained network as one file that runs without this program."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.problems import Call
from darts_pl.records.folder import Summary
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.run_data import refuse_other_run_data
from darts_pl.tasks.execution.trained import find_trained

#: Largest difference from PyTorch's outputs, relative to the largest of them, that is rounding.
TOLERANCE = 1e-4
#: Samples in the check; another number than the network was traced with.
CHECKED = 3


#: Names of the inputs in the written file, and what runs it.
Written = tuple[list[str], Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]]


def export(context: Context) -> Summary:
    """Write what `run=` or `checkpoint=` names, check it against PyTorch, and return the summary.

    Raises:
        UserError: if there is no such network, or the extra that the format needs is not installed.
    """
    started = time.monotonic()
    wanted = context.config.format or "onnx"
    if wanted not in WRITERS:
        raise UserError(f"format={wanted} with task=export: use format={'|'.join(WRITERS)}")
    trained = find_trained(context)
    refuse_other_run_data(trained, only_named=True)
    if wanted == "onnx":
        _require_extra()
    call = trained.problem.call(trained.network.float(), trained.config, trained.summary)
    path = context.folder.path / f"network.{wanted}"
    given = call.example(CHECKED)
    names, run = WRITERS[wanted](call, path)
    difference = _difference(path, run(given), call.result(given))
    print(f"wrote {path}")
    shapes = [",".join(map(str, ("batch", *shape))) for shape in call.inputs.values()]
    for name, shape, tensor in zip(names, shapes, given, strict=True):
        kind = str(tensor.dtype).removeprefix("torch.")
        print(f"input {name!r}: {kind} [{shape.replace(',', ', ')}]{call.meaning if tensor is given[0] else ''}")
    print(f"largest difference from PyTorch's {' and '.join(call.outputs)}: {difference:.1e}")
    summary: Summary = {
        "task": "export",
        "format": wanted,
        "checkpoint": str(trained.checkpoint),
        "file": str(path),
        "input": " ".join(names),
        "input_shape": " ".join(shapes),
        "largest_difference": difference,
        "seconds": round(time.monotonic() - started, 3),
    }
    context.folder.write_summary(summary)
    return summary


def _difference(path: Path, found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    """The largest difference; RuntimeError where it is more than rounding."""
    largest = 0.0
    for ours, theirs in zip(expected, found, strict=True):
        difference = (theirs - ours).abs().max().item()
        if not difference <= TOLERANCE * max(ours.abs().max().item(), 1.0):
            raise RuntimeError(f"{path}: its results differ from PyTorch's by {difference:.1e}")
        largest = max(largest, difference)
    return largest


def _traced(call: Call) -> torch.export.ExportedProgram:
    """The network for batches of any size."""
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(call.network, call.example(2), dynamic_shapes=({0: batch},) * len(call.inputs))


def _write_pt2(call: Call, path: Path) -> Written:
    atomic.write_with(path, lambda temporary: torch.export.save(_traced(call), temporary))
    program = torch.export.load(path)
    loaded = Call(program.module(), call.inputs, call.outputs, call.meaning)
    return list(program.graph_signature.user_inputs), loaded.result


def _write_onnx(call: Call, path: Path) -> Written:
    import onnxruntime

    logging.getLogger("onnxscript.optimizer").setLevel(logging.ERROR)  # it tells what it leaves as it is
    program = torch.onnx.export(
        _traced(call), input_names=list(call.inputs), output_names=list(call.outputs), verbose=False, dynamo=True
    )
    assert program is not None
    atomic.write_with(path, lambda temporary: program.save(temporary, external_data=False))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]

    def run(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(output) for output in session.run(None, given))

    return names, run


#: By format: writes a network.
WRITERS: dict[str, Callable[[Call, Path], Written]] = {"onnx": _write_onnx, "pt2": _write_pt2}


def _require_extra() -> None:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"format=onnx needs {', '.join(missing)}: pip install 'darts-pl[export]' (in a checkout '.[export]')\n"
            "or write format=pt2, which needs nothing else"
        )
