"""task=export: a trained network as one file that runs without this program."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.runs.folder import Summary
from darts_pl.tasks.context import Context
from darts_pl.tasks.image_data import image_shape, load_images
from darts_pl.tasks.trained import Trained, find_trained

#: Largest difference from PyTorch's logits, relative to the largest of them, that is rounding.
TOLERANCE = 1e-4
#: Images in the check; another number than the network was traced with.
CHECKED = 3


def export(context: Context) -> Summary:
    """Write what `run=` or `checkpoint=` names, check it against PyTorch, and return the summary.

    Raises:
        UserError: if there is no such network, or the extra that the format needs is not installed.
    """
    started = time.monotonic()
    wanted = context.config.format or "onnx"
    trained = find_trained(context)
    if wanted == "onnx":
        _require_extra()
    shape = _shape(trained)
    path = context.folder.path / f"network.{wanted}"
    images = torch.randn(CHECKED, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = trained.network(images)
    name, written = WRITERS[wanted](trained.network, shape, path)
    difference = (written(images) - expected).abs().max().item()
    if not difference <= TOLERANCE * max(expected.abs().max().item(), 1.0):
        raise RuntimeError(f"{path}: its logits differ from PyTorch's by {difference:.1e}")
    print(f"wrote {path}")
    print(f"input {name!r}: float32 [batch, {', '.join(map(str, shape))}], normalised as in training")
    print(f"largest difference from PyTorch's logits: {difference:.1e}")
    summary: Summary = {
        "task": "export",
        "format": wanted,
        "checkpoint": str(trained.checkpoint),
        "file": str(path),
        "input": name,
        "input_shape": f"batch,{','.join(map(str, shape))}",
        "largest_difference": difference,
        "seconds": round(time.monotonic() - started, 3),
    }
    context.folder.write_summary(summary)
    return summary


def _shape(trained: Trained) -> tuple[int, int, int]:
    """(channels, height, width), from the summary of the training or else from the data."""
    found = [trained.summary.get(key) for key in ("channels", "height", "width")]
    if all(isinstance(value, int) for value in found):
        channels, height, width = (int(value or 0) for value in found)
        return channels, height, width
    _, height, width = image_shape(trained.config, load_images(trained.config))
    return trained.network.in_channels, height, width


def _traced(network: nn.Module, shape: tuple[int, int, int]) -> torch.export.ExportedProgram:
    """The network for batches of any size."""
    example = torch.zeros(2, *shape)
    return torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))


def _write_pt2(network: nn.Module, shape: tuple[int, int, int], path: Path) -> tuple[str, Callable[[Tensor], Tensor]]:
    atomic.write_with(path, lambda temporary: torch.export.save(_traced(network, shape), temporary))
    program = torch.export.load(path)
    module = program.module()

    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            return module(images)

    return program.graph_signature.user_inputs[0], run


def _write_onnx(network: nn.Module, shape: tuple[int, int, int], path: Path) -> tuple[str, Callable[[Tensor], Tensor]]:
    import onnxruntime

    program = torch.onnx.export(
        _traced(network, shape), input_names=["images"], output_names=["logits"], verbose=False, dynamo=True
    )
    assert program is not None
    atomic.write_with(path, lambda temporary: program.save(temporary, external_data=False))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {entry.name: images.numpy()})[0])

    return entry.name, run


#: By format: writes a network and returns the input's name and a function that runs the file.
WRITERS: dict[str, Callable[[nn.Module, tuple[int, int, int], Path], tuple[str, Callable[[Tensor], Tensor]]]] = {
    "onnx": _write_onnx,
    "pt2": _write_pt2,
}


def _require_extra() -> None:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"format=onnx needs {', '.join(missing)}: pip install 'darts-pl[export]' (in a checkout '.[export]')\n"
            "or write format=pt2, which needs nothing else"
        )
