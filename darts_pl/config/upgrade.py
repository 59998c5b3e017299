"""Keys of earlier versions: their new names, and the values of keys that came later.

A key that was renamed keeps working where it is typed, in a user's own YAML files, in the
configuration that an earlier run left in its folder, and in the settings that its checkpoint holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Flat = Mapping[str, Any]

#: Old key -> new key.
RENAMED: Mapping[str, str] = {
    "search.relaxation": "relaxation.name",
    **{
        f"{section}.dropout{letter}": f"{section}.dropout_{word}"
        for section in ("search", "train")
        for letter, word in {"h": "hidden", "x": "input", "i": "embedding", "e": "word"}.items()
    },
    "train.nonmono": "train.patience_epochs",
    "train.length_over": "train.length_margin",
    "data.share": "data.fraction",
}

#: Key -> its present value for a value of earlier versions.
REVALUED: Mapping[str, Callable[[Any], Any]] = {
    "task.compare_random": lambda value: int(value) if isinstance(value, bool) else value,
}

#: Keys that some choices had without using them -> whether to drop the key from these settings.
DROPPED: Mapping[str, Callable[[Flat], bool]] = {
    "order.radius": lambda flat: flat.get("order.name") in ("first", "second_exact"),
    "task.compare_random": lambda flat: flat.get("task.name") not in (None, "search_and_retrain"),
}


#: Keys that came later -> what runs did before they came; where that differs, or where not all choices have the key, by
#: the value of the key in `BY_OTHER`.
LATER: Mapping[str, Any] = {
    "method": "darts",
    "relaxation.name": "softmax",
    "edges.name": "plain",
    "skip.name": "plain",
    "perturbation.name": "none",
    "regulariser.name": "none",
    "stages.name": "single",
    "stages.warmup_epochs": {"single": 0, "deepening": 0, "widening": 0},
    "observers": {},
    "search.weights.nesterov": False,
    "search.weights.warmup_epochs": 0,
    "search.pool_norm": {"cnn": True},
    "search.last_norm": {"cnn": False},
    "search.valid_statistics": {"cnn": "stored", "nasbench201": "stored"},
    "search.reductions": {"cnn": None},
    "search.extra_skip": {"cnn": False},
    "search.recompute": {"cnn": False},
    "order.difference": {"second": "central"},
    "order.reuse_weight_gradient": {"second": False},
    "train.reductions": {"classifier": None},
    "train.extra_skip": {"classifier": False},
    "train.nesterov": {"classifier": False},
    "train.valid_fraction": {"classifier": 0, "nasbench201": 0},
    "search.alphas.grad_clip": None,
    "search.alphas.scale": 1e-3,
    "data.split": {"images": "index", "photos": "stratified"},
    "data.split_seed": {"images": 0, "photos": 0},
    "data.layout": {"images": "auto"},
    "data.test_fraction": {"images": 0.2, "photos": 0.2},
    "hardware.compile": False,
}
BY_OTHER: Mapping[str, str] = {
    "stages.warmup_epochs": "stages.name",
    "search.pool_norm": "search.space",
    "search.last_norm": "search.space",
    "search.valid_statistics": "search.space",
    "search.reductions": "search.space",
    "search.extra_skip": "search.space",
    "search.recompute": "search.space",
    "order.difference": "order.name",
    "order.reuse_weight_gradient": "order.name",
    "train.reductions": "train.network",
    "train.extra_skip": "train.network",
    "train.nesterov": "train.network",
    "train.valid_fraction": "train.network",
    "data.split": "data.kind",
    "data.split_seed": "data.kind",
    "data.layout": "data.kind",
    "data.test_fraction": "data.kind",
}


#: Keys of `LATER` whose value in `conf/` is another one than what runs did before. A run that began without such a key
#: goes on as it began, unless the command gives the key.
GOES_ON: frozenset[str] = frozenset({"search.valid_statistics"})


def upgrade_keys(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Nested settings of any version under the names of this one.

    Args:
        values: a configuration or some of its sections, as plain values.
    """
    return _nested(_renamed(flatten(values)))


def upgrade_configuration(values: Mapping[Any, Any]) -> dict[str, Any]:
    """The configuration that a run of any version left, with the keys that came later.

    Args:
        values: as plain values.
    """
    flat = _renamed(flatten(values))
    return _nested(flat | _later(flat))


def upgrade_stored(stored: Flat, now: Flat) -> dict[str, Any]:
    """Flat settings that a run of any version stored, as this version would store them.

    Args:
        stored: by dotted key.
        now: those of this version that they are compared with; a key that came later is added to
            `stored` where these have it.
    """
    flat = _renamed(stored)
    return flat | {key: value for key, value in _later(flat).items() if key in now}


def as_it_began(stored: Flat, now: Flat) -> dict[str, Any]:
    """Those of the keys in `GOES_ON` in which settings of today differ from those of a run that has none of these keys.

    Args:
        stored: flat settings that a run of any version stored.
        now: those of the command that continues it.
    """
    found = {key: value for key, value in _later(_renamed(stored)).items() if key in GOES_ON}
    return {key: value for key, value in found.items() if key in now and now[key] != value}


def _later(flat: Flat) -> dict[str, Any]:
    """The keys that came later than these settings, with what runs did before they came."""
    result: dict[str, Any] = {}
    for key, value in LATER.items():
        if key in flat or any(one.startswith(f"{key}.") for one in flat):  # a section counts by what it holds
            continue
        if key not in BY_OTHER:
            result[key] = value
        else:
            other = {**result, **flat}.get(BY_OTHER[key])
            if other in value:
                result[key] = value[other]
    return result


def upgrade_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments of a command line under the names of this version, and one line per renamed key."""
    result, lines = [], []
    for argument in arguments:
        found = re.match(r"(~|\+{0,2})([\w.]+)(=.*)?$", argument, re.DOTALL)
        new = RENAMED.get(found.group(2)) if found else None
        if found is None or new is None:
            result.append(argument)
            continue
        sign, old, value = found.groups()
        if new.endswith(".name"):  # a component is chosen by its group
            sign, new = "", new.removesuffix(".name")
        result.append(f"{sign}{new}{value or ''}")
        lines.append(renamed_line(old, new))
    return result, lines


def renamed_line(old: str, new: str) -> str:
    """What a user reads who typed an old key."""
    return f"{old} is now called {new}"


def old_keys(values: Mapping[Any, Any]) -> list[str]:
    """The lines for keys of earlier versions in nested settings."""
    return [renamed_line(key, RENAMED[key]) for key in flatten(values) if key in RENAMED]


def _renamed(flat: Flat) -> dict[str, Any]:
    """An old key that somebody gave overrides the new one, which then has its default."""
    result = {key: value for key, value in flat.items() if key not in RENAMED}
    result |= {RENAMED[key]: value for key, value in flat.items() if key in RENAMED}
    kept = {key: value for key, value in result.items() if not (key in DROPPED and DROPPED[key](result))}
    return {key: REVALUED[key](value) if key in REVALUED else value for key, value in kept.items()}


def flatten(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key; lists and empty sections are values."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, key)
        else:
            flat[key] = value
    return flat


def _nested(flat: Flat) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, last = key.split(".")
        inside = result
        for section in sections:
            if not isinstance(inside.get(section), dict):
                inside[section] = {}
            inside = inside[section]
        inside[last] = value
    return result
