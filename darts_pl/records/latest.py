"""The newest run or sweep, for messages to commands that name none."""

from __future__ import annotations

from pathlib import Path


def newest_folder(parent: Path, holding: str, besides: Path | None = None) -> Path | None:
    """The folder in `parent` whose newest file of the pattern `holding` is the newest of all.

    Args:
        parent: parent folder, such as ``outputs/search``; need not exist.
        holding: pattern of a file that such a folder contains: ``**/last.ckpt`` for a run that can be
            resumed, ``multirun.yaml`` for a sweep.
        besides: a folder to be left out.

    Returns:
        The folder, or None if no folder contains such a file. Among equally new ones, the last by name.
    """
    if not parent.is_dir():
        return None
    excluded = None if besides is None else besides.resolve()
    found = [
        (max(times), folder)
        for folder in parent.iterdir()
        if folder.is_dir() and folder.resolve() != excluded and (times := _times(folder, holding))
    ]
    return max(found)[1] if found else None


def newest_file(folder: Path, pattern: str) -> Path | None:
    """The newest file of the pattern below `folder`; None if there is none."""
    return max(folder.glob(pattern), key=lambda file: file.stat().st_mtime_ns, default=None)


def _times(folder: Path, pattern: str) -> list[int]:
    times = []
    for file in folder.glob(pattern):
        try:
            times.append(file.stat().st_mtime_ns)
        except FileNotFoundError:  # replaced or removed by a run that is still active
            continue
    return times
