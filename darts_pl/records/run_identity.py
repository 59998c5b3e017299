"""What a run is, so that a checkpoint is continued by the same command only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Settings that may differ when a run goes on: where data lie and how they are read, not what they are.
MAY_DIFFER_ON_RESUME = frozenset({"data.path", "data.workers"})


def settings_of(resolved: Mapping[str, Any], *sections: str, **others: Any) -> dict[str, Any]:
    """The settings that decide a run's numbers, flat, by dotted key.

    Args:
        resolved: the whole configuration as plain values.
        sections: its keys that count, beside the precision and ``debug``, which always do.
        others: what counts beside them.
    """
    flat = _flat({name: resolved[name] for name in (*sections, "debug")}, "")
    flat["hardware.precision"] = resolved["hardware"]["precision"]
    return {key: value for key, value in flat.items() if key not in MAY_DIFFER_ON_RESUME} | others


def difference(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first key, in the order of `now`, whose value differs, with both; None where none does."""
    for key in [*now, *(key for key in stored if key not in now)]:
        before, after = stored.get(key), now.get(key)
        if before != after:
            return f"{key}={before}, and not {key}={after}"
    return None


def _flat(values: Any, prefix: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        return {prefix: values}
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}.{name}" if prefix else str(name))
    return flat
