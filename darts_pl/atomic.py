"""Files that are either complete or absent."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

#: Error numbers of a full disk, or of an exhausted quota.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write(path: Path, content: bytes | str) -> None:
    """Write to a temporary name in the same folder, then rename: no reader ever sees a partial file."""
    data = content.encode() if isinstance(content, str) else content
    write_with(path, lambda temporary: temporary.write_bytes(data))


def write_with(path: Path, writer: Callable[[Path], object]) -> None:
    """As `write`, for content that `writer` puts into the (temporary) path it is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # numpy needs the ending
    try:
        writer(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Wait until the file's content is on the disk, so that even a power failure leaves no gap in it.

    Raises:
        OSError: if the disk cannot hold it.
    """
    with path.open("rb+") as file:
        os.fsync(file.fileno())
