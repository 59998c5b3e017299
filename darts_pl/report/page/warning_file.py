"""The warnings of a run, as its folder keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A JSON list with an object for each warning.
WARNINGS = "warnings.json"


@dataclass(frozen=True)
class StoredWarning:
    """One warning.

    Args:
        name: of its kind, such as "flat_entropy".
        message: what is wrong, with its number, and what to do.
        value: the number that crossed the limit; None where there is none.
        limit: the limit; None where there is none.
    """

    name: str
    message: str
    value: float | None = None
    limit: float | None = None


def read_warnings(path: Path) -> list[StoredWarning]:
    """The warnings in a file, in order.

    Raises:
        OSError, ValueError: if it is not readable as a list of warnings.
    """
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(found, Mapping):
        found = found.get("warnings")
    if not isinstance(found, list):
        raise ValueError("not a list of warnings")
    return [_warning(values) for values in found]


def _warning(values: Any) -> StoredWarning:
    if not isinstance(values, Mapping):
        return StoredWarning("", str(values))
    value, limit = (values.get(key) for key in ("value", "limit"))
    return StoredWarning(
        str(values.get("name", "")),
        str(values.get("message", "")),
        float(value) if isinstance(value, (int, float)) else None,
        float(limit) if isinstance(limit, (int, float)) else None,
    )
