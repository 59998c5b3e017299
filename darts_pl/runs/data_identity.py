"""`data.json`: which data a run was given, kept in its folder and compared when it is continued or read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from darts_pl import atomic
from darts_pl.data import difference, misfit, other_test
from darts_pl.data.announce import warn
from darts_pl.data.identity import Identity
from darts_pl.errors import UserError

NAME = "data.json"


def keep_data_identity(folder: Path, data: Any, *, continues: bool, writes: bool) -> None:
    """Write which data a run is given, and refuse other data where it is continued.

    Args:
        folder: of the run.
        data: its data module; one without an `identity` is passed over.
        continues: whether a checkpoint of the folder is continued. A run that an older version
            started, and left no file, is not compared.
        writes: whether this is the process that writes.

    Raises:
        UserError: if the run began with other data.
    """
    present: Identity | None = getattr(data, "identity", None)
    if present is None:
        return
    stored = read_data_identity(folder) if continues else None
    found = difference(stored, present) if stored is not None else None
    if found is not None:
        raise UserError(
            f"data.path={data.settings.path}: not the data that the run in {folder} began with: {found}; "
            "give those, or another hydra.run.dir"
        )
    if stored is None and writes:
        atomic.write(folder / NAME, json.dumps(present, indent=2) + "\n")


def refuse_other_data(folder: Path, present: Identity, path: str | None) -> None:
    """Refuse data on which the network of a finished run means nothing; warn of other test samples.

    Args:
        folder: of the run; one without the file is not compared.
        present: identity of the data that the command names.
        path: where these are, for messages.

    Raises:
        UserError: if classes, channels or vocabulary differ, or test samples of classes without names.
    """
    stored = read_data_identity(folder)
    if stored is None:
        return
    found = misfit(stored, present)
    if found is not None:
        raise UserError(
            f"data.path={path}: not the data that the network in {folder} was trained for: {found}; "
            "to score it on them nevertheless give checkpoint=FILE genotype=FILE in place of run="
        )
    other = other_test(stored, present)
    if other is not None:
        warn(f"data.path={path}: not the test split of the run in {folder}: {other}")


def read_data_identity(folder: Path) -> Identity | None:
    """What `data.json` in a run's folder says; None where it is absent or damaged."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
