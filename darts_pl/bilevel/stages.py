"""The registry of stages: which searches follow each other, and when the alphas start to move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from darts_pl.registry import Registry
from darts_pl.settings import at_least, setting

STAGES: Registry[Any] = Registry("stages")


@dataclass(frozen=True, kw_only=True)
class SingleSettings:
    """One search."""

    warmup_epochs: int = setting("first epochs, in which only the weights move", at_least(0))


@STAGES.register("single", settings=SingleSettings)
class Single:
    """One search."""

    def __init__(self, settings: SingleSettings) -> None:
        self.settings = settings
