"""How Lightning writes a checkpoint to its file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO


class PlainFile(TorchCheckpointIO):
    """Writes directly to the given file. Lightning's own plugin first writes to the system's folder for temporary
    files, which may be too small, in memory, or on another disk, and which a killed process leaves behind."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint`; raises OSError if the disk is full."""
        content = io.BytesIO()  # torch reports a full disk as a RuntimeError
        torch.save(checkpoint, content)
        Path(path).write_bytes(content.getbuffer())
