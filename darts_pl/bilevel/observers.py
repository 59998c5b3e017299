"""The registry of observers: what watches a search and may stop it."""

from __future__ import annotations

from typing import Any

from darts_pl.registry import Registry

OBSERVERS: Registry[Any] = Registry("observer")
