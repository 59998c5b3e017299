"""The settings that make a run what it is: a checkpoint continues only under the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darts_pl.config import flatten

#: Settings that may change when a run is resumed: where the data are and how they are read, not what they are.
MAY_DIFFER_ON_RESUME = frozenset({"data.path", "data.workers", "data.layout"})
#: Names of `data` that are other names for one.
DATA_NAMES = {"imagenet": "image_folder"}
#: Settings that only a search reads.
OF_A_SEARCH = frozenset({"data.split", "data.split_seed"})


def settings_of(resolved: Mapping[str, Any], *sections: str, **others: Any) -> dict[str, Any]:
    """The settings that determine a run's numbers, flat, by dotted key.

    Args:
        resolved: the whole configuration as plain values.
        sections: the keys that count, beside the precision and ``debug``, which always count.
        others: further values that count.
    """
    flat = flatten({name: resolved[name] for name in (*sections, "debug")})
    flat["hardware.precision"] = resolved["hardware"]["precision"]
    free = MAY_DIFFER_ON_RESUME if "search" in sections else MAY_DIFFER_ON_RESUME | OF_A_SEARCH
    return {key: value for key, value in flat.items() if key not in free} | others


def same_data(one: Any, other: Any) -> bool:
    """Whether two names of `data` mean the same kind of data."""
    return bool(DATA_NAMES.get(one, one) == DATA_NAMES.get(other, other))


def difference(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first key whose value differs, in the order of `now`, with both values; None if all are equal."""
    for key in [*now, *(key for key in stored if key not in now)]:
        before, after = stored.get(key), now.get(key)
        if before != after and not (key == "data.name" and same_data(before, after)):
            return f"{key}={before}, and not {key}={after}"
    return None
