"""The registry of what the edges that leave one node compute."""

from __future__ import annotations

from typing import Any

from darts_pl.registry import Registry

EDGES: Registry[Any] = Registry("edges")


@EDGES.register("plain")
class Plain:
    """Every candidate reads all channels of the node."""
