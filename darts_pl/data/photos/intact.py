"""Which photos can be read at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from darts_pl.data.photos.reading import BrokenPhotoError, read_photo

#: More photos, or more bytes, are not looked through before a run: that would take minutes.
MOST_PHOTOS, MOST_BYTES = 5_000, 256 * 2**20


def damaged_photos(paths: Sequence[str]) -> dict[str, str]:
    """The photos that cannot be read, each with one line that names it and the reason.

    Empty where there are more than `MOST_PHOTOS` photos or `MOST_BYTES`; a run then ends at the first damaged one.

    Args:
        paths: of the photos.
    """
    if len(paths) > MOST_PHOTOS or sum(map(_bytes, paths)) > MOST_BYTES:
        return {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        reasons = threads.map(_reason, paths)
        return {path: reason for path, reason in zip(paths, reasons, strict=True) if reason is not None}


def _reason(path: str) -> str | None:
    try:
        read_photo(path)
    except BrokenPhotoError as error:
        return str(error)
    return None


def _bytes(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
