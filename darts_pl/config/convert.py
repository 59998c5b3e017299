"""From plain values to an instance of a settings dataclass, with the types of its fields."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import BooleanNode, FloatNode, IntegerNode, StringNode
from omegaconf.errors import OmegaConfBaseException

from darts_pl.errors import UserError

#: OmegaConf's own conversions, such as "3" and "1e-3" to a number.
_SCALARS: Mapping[Any, Callable[..., Any]] = {bool: BooleanNode, int: IntegerNode, float: FloatNode, str: StringNode}

_IN_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}

#: What a value is called that must be given, in a YAML file.
MUST_BE_GIVEN = "???"


class UnknownKeyError(Exception):
    """A key that no field of the settings has.

    Args:
        key: dotted.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def convert(schema: type, values: Mapping[str, Any], prefix: str, choice: str = "") -> Any:
    """An instance of the dataclass `schema`.

    Args:
        schema: its fields are bool, int, float, str, Any, lists and mappings of these, other
            dataclasses, or one of these or None.
        values: by field name; a field with a default may be left out.
        prefix: the dotted key of the section; "" for the top level.
        choice: what gives these settings their defaults, such as "order=second"; "" if nothing was chosen.

    Raises:
        UnknownKeyError: for a key that is no field.
        UserError: for a value that is missing or has another type.
    """
    hints = get_type_hints(schema)
    known = {one.name: one for one in fields(schema)}
    for name in values:
        if name not in known:
            raise UnknownKeyError(_join(prefix, str(name)))
    result = {}
    for name, one in known.items():
        key = _join(prefix, name)
        if name in values and values[name] != MUST_BE_GIVEN:
            result[name] = _value(hints[name], values[name], key)
        elif one.default is MISSING and one.default_factory is MISSING:
            other = f", or choose {choice}" if choice and name not in values else ""
            raise UserError(f"{key} is missing; give {key}=...{other}")
    return schema(**result)


def _value(hint: Any, value: Any, key: str) -> Any:
    optional, kind = without_none(hint)
    if value is None:
        if optional or kind is Any:
            return None
        raise UserError(f"{key}=null: must be {_IN_WORDS.get(kind, type_name(kind))}")
    if kind is Any:
        return value
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise UserError(f"{key}={value}: holds several keys, {', '.join(one.name for one in fields(kind))}")
        return convert(typing.cast(type, kind), value, key)
    origin = get_origin(kind) or kind
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{key}={value}: must be a list, such as {key}=[a,b]")
        element = (get_args(kind) or (Any,))[0]
        return origin(_value(element, one, f"{key}[{index}]") for index, one in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{key}={value}: must be a mapping, such as '{key}={{a: 1}}'")
        element = (get_args(kind) or (Any, Any))[1]
        return {name: _value(element, one, _join(key, str(name))) for name, one in value.items()}
    try:
        return _SCALARS[kind](value=value, is_optional=False)._value()
    except OmegaConfBaseException:
        raise UserError(f"{key}={value}: must be {_IN_WORDS[kind]}") from None


def without_none(hint: Any) -> tuple[bool, Any]:
    """Whether a type includes None, and the type without it."""
    if get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return len(kinds) < len(get_args(hint)), kinds[0] if len(kinds) == 1 else Any
    return False, hint


def type_name(hint: Any) -> str:
    """A type as a reader of the documentation sees it, such as "float or null"."""
    optional, kind = without_none(hint)
    if get_origin(kind) in (list, tuple):
        name = f"list of {type_name((get_args(kind) or (Any,))[0])}"
    elif kind is Any:
        name = "any"
    else:
        name = getattr(kind, "__name__", str(kind))
    return f"{name} or null" if optional else name


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
