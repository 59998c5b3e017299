"""Reading a checkpoint file: the formats of torch.save and safetensors, never code."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from darts_pl.errors import UserError
from darts_pl.interop.foreign import HEAD, describe_foreign, shorten

#: A whole archive holds at most so many times the bytes that it takes on the disk: torch.save does not compress.
_LARGEST_RATIO = 100


def read(path: Path) -> Mapping[str, Any]:
    """What a checkpoint file holds, on the CPU. Only tensors and plain values are loaded, never code.

    Args:
        path: a file of `torch.save`, in its present or its former format, or a safetensors file.

    Raises:
        UserError: if the file is missing, damaged, not a checkpoint, or contains executable code.
    """
    try:
        if path.is_dir():
            raise UserError(f"checkpoint={path}: is a folder; give a file")
        if not path.is_file():
            raise UserError(f"checkpoint={path}: there is no such file")
        with path.open("rb") as file:
            head = file.read(HEAD)
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"checkpoint={path}: cannot be read ({error.strerror or type(error).__name__})") from None
    if _is_safetensors(head, size):
        return _read_safetensors(path)
    foreign = describe_foreign(head, size)
    if foreign is None and head.startswith(b"PK"):
        foreign = _describe_archive(path)
    if foreign is not None:
        raise UserError(f"checkpoint={path}: is {foreign}")
    found = _read_torch(path)
    if not isinstance(found, Mapping):
        raise UserError(f"checkpoint={path}: holds a {type(found).__name__}, not a state dict")
    return found


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a hostile or damaged file can provoke
        reason = " ".join(str(error).split())
    code = re.search(r"GLOBAL ([\w.]+)|call reduce for unrecognized (function)|Can only (?:build|create)", reason)
    if code or "TorchScript" in reason:
        name = shorten(code.group(1) or "an object that is not a tensor") if code else "a TorchScript program"
        raise UserError(
            f"checkpoint={path}: contains executable code ({name.strip(chr(39))}), which is never loaded; "
            "save the state dict alone: torch.save(model.state_dict(), FILE)"
        )
    if "unsupported operand" in reason.lower() or "persistent_load" in reason or "magic number" in reason:
        raise UserError(
            f"checkpoint={path}: damaged, or a pickle that torch.save did not write, which may contain executable "
            "code; save the state dict with torch.save(model.state_dict(), FILE)"
        )
    detail = reason.partition("WeightsUnpickler error:")[2] or reason
    raise UserError(f"checkpoint={path}: damaged, or not a checkpoint of torch.save ({shorten(detail or '?', 80)})")


def _describe_archive(path: Path) -> str | None:
    """What is wrong with a zip archive, as the end of "FILE is ..."; None if it is a whole file of torch.save.

    The checksums are compared because torch does not look at them: one changed bit would be another weight.
    """
    try:
        if not zipfile.is_zipfile(path):
            return "cut off: the end of the archive is missing; download the file again"
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if not any(name.endswith("data.pkl") for name in names):
                arrays = " of NumPy arrays" if names and all(name.endswith(".npy") for name in names) else ""
                return f"a zip archive{arrays} (with {shorten(', '.join(names))}), not a checkpoint of torch.save"
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_RATIO * path.stat().st_size:
                return "damaged: the sizes inside the archive are wrong; download the file again"
            wrong = archive.testzip()
    except Exception as error:  # zipfile raises a dozen kinds for damaged archives
        return f"damaged ({shorten(str(error) or type(error).__name__)}); download the file again"
    return None if wrong is None else f"damaged: the checksum of {shorten(wrong)} is wrong; download the file again"


def _is_safetensors(head: bytes, size: int) -> bool:
    """Whether the file begins with the length of a JSON header and the header, as the safetensors format does."""
    return size > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= max(size, 1 << 27)


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        return load_file(path, device="cpu")
    except Exception as error:  # as above
        detail = shorten(str(error) or type(error).__name__, 80)
    raise UserError(f"checkpoint={path}: a damaged safetensors file ({detail}); download the file again")
