"""task=export: a trained network as one file that runs without this program."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records.folder import Summary
from darts_pl.spaces import Classifier, LanguageModel
from darts_pl.tasks.context import Context
from darts_pl.tasks.image_data import image_shape, load_images
from darts_pl.tasks.trained import Trained, find_trained

#: Largest difference from PyTorch's outputs, relative to the largest of them, that is rounding.
TOLERANCE = 1e-4
#: Samples in the check; another number than the network was traced with.
CHECKED = 3


@dataclass(frozen=True)
class Call:
    """How the network in the file is called.

    Args:
        network: takes tensors and returns one or several, all with the batch as their first dimension.
        inputs: shapes without the batch, by name; "words" are whole numbers.
        outputs: names.
        words: how many different ones there are.
        meaning: of the inputs, for the user.
    """

    network: nn.Module
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    meaning: str
    words: int = 0

    def example(self, batch: int) -> tuple[Tensor, ...]:
        """Inputs for a batch of that size."""
        draw = torch.Generator().manual_seed(0)
        return tuple(
            torch.randint(self.words, (batch,), generator=draw)
            if name == "words"
            else torch.randn(batch, *shape, generator=draw)
            for name, shape in self.inputs.items()
        )

    def result(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What PyTorch computes."""
        with torch.no_grad():
            found = self.network(*inputs)
        return found if isinstance(found, tuple) else (found,)


#: Names of the inputs in the written file, and what runs it.
Written = tuple[list[str], Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]]


class LanguageStep(nn.Module):
    """A language model for one step of many texts side by side.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: LanguageModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, words: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, V] of the next word and the hidden state [B, H] after it, of words [B] and the
        hidden state [B, H] before them, which is zero at the start of a text."""
        sequence = self.network(words.unsqueeze(0), hidden)
        return sequence.logits[0], sequence.outputs[0]


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
    call = _call(trained)
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


def _call(trained: Trained) -> Call:
    network = trained.network.float()
    if isinstance(network, LanguageModel):
        inputs: dict[str, tuple[int, ...]] = {"words": (), "hidden": (network.cell.units,)}
        meaning = ", words numbered as they first appear; 'hidden' is the state before them, zero at the start"
        return Call(LanguageStep(network), inputs, ("logits", "next_hidden"), meaning, network.vocabulary)
    shape = _shape(trained, network)
    return Call(network, {"images": shape}, ("logits",), ", normalised as in training")


def _difference(path: Path, found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    """The largest difference; RuntimeError where it is more than rounding."""
    largest = 0.0
    for ours, theirs in zip(expected, found, strict=True):
        difference = (theirs - ours).abs().max().item()
        if not difference <= TOLERANCE * max(ours.abs().max().item(), 1.0):
            raise RuntimeError(f"{path}: its results differ from PyTorch's by {difference:.1e}")
        largest = max(largest, difference)
    return largest


def _shape(trained: Trained, network: Classifier) -> tuple[int, int, int]:
    """(channels, height, width), from the summary of the training or else from the data."""
    found = [trained.summary.get(key) for key in ("channels", "height", "width")]
    if all(isinstance(value, int) for value in found):
        channels, height, width = (int(value or 0) for value in found)
        return channels, height, width
    _, height, width = image_shape(trained.config, load_images(trained.config))
    return network.in_channels, height, width


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
