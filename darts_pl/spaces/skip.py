"""The registry of how a search treats skip connections."""

from __future__ import annotations

from typing import Any

from darts_pl.registry import Registry

SKIPS: Registry[Any] = Registry("skip")


@SKIPS.register("plain")
class Plain:
    """As any other candidate."""
