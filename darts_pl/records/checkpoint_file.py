"""The two checkpoint files of a run, and whether one of them is intact."""

from __future__ import annotations

import zipfile
from pathlib import Path


def previous(path: Path) -> Path:
    """The file that keeps the checkpoint before the one at `path`."""
    return path.with_name("previous.ckpt")


def is_whole(path: Path) -> bool:
    """Whether every part of the file matches its stored checksum, which `torch.load` does not verify."""
    with zipfile.ZipFile(path) as file:
        return file.testzip() is None
