"""The registry of terms that are added to the loss of the architecture parameters."""

from __future__ import annotations

from typing import Any

from darts_pl.registry import Registry

REGULARISERS: Registry[Any] = Registry("regulariser")


@REGULARISERS.register("none")
class NoRegulariser:
    """Nothing is added."""
