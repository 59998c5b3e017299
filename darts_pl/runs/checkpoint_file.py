"""How a checkpoint is written to its file, and found whole again."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO


class PlainFile(TorchCheckpointIO):
    """Writes straight to the file that it is given. Lightning's own goes by a file in the system's
    folder for temporary files, which may be too small, in memory, or on another disk, and which a kill
    leaves behind."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint`; an OSError says that the disk does not take it."""
        content = io.BytesIO()  # of a full disk torch would tell in a RuntimeError
        torch.save(checkpoint, content)
        Path(path).write_bytes(content.getbuffer())


def is_whole(path: Path) -> bool:
    """Whether all parts of the file have the checksums that were written with them, which torch does not look at."""
    with zipfile.ZipFile(path) as file:
        return file.testzip() is None
