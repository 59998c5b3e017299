"""From the composed configuration to the typed one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from darts_pl.config.checks import refuse_senseless
from darts_pl.config.schema import VARIANTS, Config
from darts_pl.errors import UserError


def typed(config: DictConfig) -> Config:
    """The composed configuration as dataclasses, validated.

    Raises:
        UserError: for an unknown key (with the nearest known one), a missing or wrongly typed
            value, or one that makes no sense.
    """
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    assert isinstance(values, dict)
    variants = {section: _variant(section, values.get(section)) for section in VARIANTS}
    _refuse_unknown(values, Config, "", variants)
    for key in sorted(OmegaConf.missing_keys(config)):
        raise UserError(f"{key} is missing; give {key}=...")
    try:
        schema = OmegaConf.merge(OmegaConf.structured(Config), variants)
        result = OmegaConf.to_object(OmegaConf.merge(schema, config))
    except OmegaConfBaseException as error:
        raise UserError(_type_message(config, error)) from None
    assert isinstance(result, Config)
    refuse_senseless(result)
    return result


def _type_message(config: DictConfig, error: OmegaConfBaseException) -> str:
    key = str(error.full_key or "configuration")
    reason = str(error.msg or error).splitlines()[0]
    if "is not a ListConfig" in reason:
        return f"{key}={OmegaConf.select(config, key)}: must be a list, such as {key}=[a,b]"
    return f"{key}: {reason}"


def _variant(section: str, values: Any) -> type:
    """The schema of a section whose keys depend on one of them."""
    key, schemas = VARIANTS[section]
    chosen = values.get(key) if isinstance(values, dict) else None
    if not isinstance(chosen, str) or chosen not in schemas:
        raise UserError(f"{section}.{key}={chosen}: unknown; known: {', '.join(schemas)}")
    return schemas[chosen]


def known_keys(schema: type = Config, prefix: str = "") -> list[str]:
    """All keys of the configuration, dotted, in all variants."""
    keys = []
    for name, kinds in _children(schema).items():
        inside = VARIANTS[name][1].values() if not prefix and name in VARIANTS else kinds
        keys.append(prefix + name)
        for kind in inside:
            keys += known_keys(kind, f"{prefix}{name}.")
    return list(dict.fromkeys(keys))


def nearest_key(key: str) -> str | None:
    """The known key that looks most like `key`, if any does."""
    known = [name for name in known_keys() if name != key]  # it may be known, but not in this combination
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not close:  # the right name in the wrong place
        last = {name.rsplit(".", 1)[-1]: name for name in reversed(known)}
        close = [last[name] for name in difflib.get_close_matches(key.rsplit(".", 1)[-1], last, n=1, cutoff=0.75)]
    return close[0] if close else None


def _children(schema: type) -> dict[str, list[type]]:
    """Field names of a dataclass, each with the dataclasses that it can hold."""
    hints = get_type_hints(schema)
    result: dict[str, list[type]] = {}
    for field in fields(schema):
        kinds = (hints[field.name], *get_args(hints[field.name]))
        result[field.name] = [kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)]
    return result


def _refuse_unknown(values: dict[Any, Any], schema: type, prefix: str, variants: Mapping[str, type]) -> None:
    children = _children(schema)
    for name, value in values.items():
        if name not in children:
            near = nearest_key(f"{prefix}{name}")
            hint = f"; did you mean {near}?" if near else ""
            raise UserError(f"unknown key {prefix}{name}{hint}")
        inside = [variants[name]] if name in variants else children[name]
        if inside and isinstance(value, dict):
            _refuse_unknown(value, inside[0], f"{prefix}{name}.", {})
