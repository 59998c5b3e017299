"""Where a trained network is: the folder of a run, an exported folder, a checkpoint file."""

from __future__ import annotations

from pathlib import Path

from darts_pl.errors import UserError
from darts_pl.records import RunFolder, read_summary

#: The files of an exported folder, by the names that model hubs expect.
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
#: The exported folder in the folder of a task=export.
EXPORTED = "network"


def finished_training(path: Path, key: str = "run") -> RunFolder:
    """The folder of a finished training at `path`, or inside that of task=search_and_retrain.

    Args:
        path: a folder.
        key: that names it, for messages; "" = none does.

    Raises:
        UserError: if it is no such folder.
    """
    named = f"{key}={path}" if key else str(path)
    if not path.is_dir():
        raise UserError(f"{named}: there is no such folder")
    for folder in (RunFolder(path / "retrain"), RunFolder(path)):
        summary = read_summary(folder.path) or {}
        if folder.genotype.is_file() and folder.checkpoint.is_file() and summary.get("task") == "retrain":
            return folder
    raise UserError(f"{named}: not the folder of a finished training (task=retrain or search_and_retrain){_hint(path)}")


def exported_folder(path: Path) -> Path | None:
    """The exported folder at `path`, or inside that of task=export; None if there is none."""
    for folder in (path, path / EXPORTED):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    return None


def _hint(path: Path) -> str:
    """What to do with a folder in which no training has finished."""
    for folder in (RunFolder(path / "retrain"), RunFolder(path)):
        summary = read_summary(folder.path) or {}
        if folder.checkpoint.is_file() and folder.genotype.is_file() and "task" in summary:
            return f": a search trains no final network; train it with task=retrain genotype={path}"
        if folder.checkpoint.is_file() and folder.path.name == "retrain":
            return f"; to finish it, repeat its command with resume={path}"
    return ""
