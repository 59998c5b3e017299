"""Paths that users give."""

from __future__ import annotations

import os.path


def expand(path: str | None) -> str | None:
    """`path` with a leading ``~`` or ``~user`` replaced by that home folder, where there is one."""
    return os.path.expanduser(path) if path else path
