"""The registry of formats, what each is given, and how what it wrote is checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from darts_pl.export.calls import Call
from darts_pl.inference import Loaded
from darts_pl.registry import Registry

#: Largest difference from PyTorch's outputs, relative to the largest of them, that is rounding.
TOLERANCE = 1e-4
#: Samples in the check; another number than the network was traced with.
CHECKED = 3


@dataclass(frozen=True)
class Job:
    """What is to be written.

    Args:
        model: the network in float32 on the CPU, with all that is known about it.
        call: how it is called.
        folder: where the files go.
        metadata: what the file says about the network, texts by key.
        summary: of the run that trained it; empty where it is not known.
        configuration: of that run, likewise.
        data: identity of the data that it was trained on, likewise.
        license: of the weights, for a model card; None = not chosen.
    """

    model: Loaded
    call: Call
    folder: Path
    metadata: Mapping[str, str]
    summary: Mapping[str, Any] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    license: str | None = None

    @property
    def metadata_json(self) -> str:
        """The metadata as one text."""
        return json.dumps(dict(self.metadata), ensure_ascii=False)


@dataclass(frozen=True)
class Written:
    """What was written, and how it is run.

    Args:
        path: the file, or the folder.
        inputs: names of its inputs.
        run: computes the outputs of the written network.
    """

    path: Path
    inputs: list[str]
    run: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


#: By name, what writes a network and reads it back.
FORMATS: Registry[Callable[[Job], Written]] = Registry("export format")


def largest_difference(written: Written, call: Call) -> float:
    """Of the written network's outputs from PyTorch's; RuntimeError where it is more than rounding."""
    given = call.example(CHECKED)
    largest = 0.0
    for ours, theirs in zip(call.result(given), written.run(given), strict=True):
        difference = (theirs - ours).abs().max().item()
        if not difference <= TOLERANCE * max(ours.abs().max().item(), 1.0):
            raise RuntimeError(f"{written.path}: its results differ from PyTorch's by {difference:.1e}")
        largest = max(largest, difference)
    return largest
