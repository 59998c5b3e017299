"""`warnings.json`: what is wrong with a finished run, and which commands come next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darts_pl import atomic

#: A mapping with two lists:
#: "warnings", each {"name", "message", "value", "limit", "about", "part"}, where part is "" or the subfolder of the
#: part that it is about; and "next", each {"what", "command"}.
NAME = "warnings.json"


def write_ending(folder: Path, warnings: Sequence[Mapping[str, Any]], commands: Sequence[tuple[str, str]] = ()) -> None:
    """Write `warnings.json`.

    Args:
        folder: of the run.
        warnings: as plain values; empty where there is nothing to say.
        commands: what each is for, and the command.
    """
    content = {
        "warnings": [{"part": "", **warning} for warning in warnings],
        "next": [{"what": what, "command": command} for what, command in commands],
    }
    atomic.write(folder / NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_warnings(folder: Path) -> list[dict[str, Any]]:
    """The warnings about the run in a folder; empty where there are none, or the run is of an earlier version."""
    return _read(folder, "warnings", "message")


def read_commands(folder: Path) -> list[tuple[str, str]]:
    """What each command that comes next is for, and the command; empty as for `read_warnings`."""
    return [(str(one.get("what", "")), one["command"]) for one in _read(folder, "next", "command")]


def _read(folder: Path, name: str, key: str) -> list[dict[str, Any]]:
    """The entries of a list that have a text of that key."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    listed = found.get(name) if isinstance(found, dict) else None
    return [one for one in listed or () if isinstance(one, dict) and isinstance(one.get(key), str)]
