"""A trained network as a file or a folder that others can use: ONNX, torch.export, a hub's folder, Python source."""

from darts_pl.export import programs as _programs  # these three register their formats

from darts_pl.export import hub_folder as _hub_folder  # isort: skip
from darts_pl.export.calls import Call, Input, call_of, metadata
from darts_pl.export.formats import FORMATS, Job, Written, largest_difference
from darts_pl.export.programs import require_extra
from darts_pl.export.source import writer as _writer

__all__ = [
    "FORMATS",
    "Call",
    "Input",
    "Job",
    "Written",
    "call_of",
    "largest_difference",
    "metadata",
    "require_extra",
]

assert _programs
assert _hub_folder
assert _writer
