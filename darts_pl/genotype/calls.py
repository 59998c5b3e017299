"""What becomes of the calls in the text of a genotype, such as ``range(2, 6)``, ``np.int64(2)`` and ``dict(...)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

LONGEST_RANGE = 1000


class LiteralError(ValueError):
    """The text is no literal; the message says where and why."""


def add_field(fields: dict[Any, Any], key: Any, value: Any) -> None:
    """Set a field that is not there yet."""
    if not isinstance(key, (str, int, float)):
        raise LiteralError("a key is neither text nor a number")
    if key in fields:
        raise LiteralError(f"{str(key)[:40]!r} is there twice")
    fields[key] = value


def _range(*bounds: Any) -> list[int]:
    if not 1 <= len(bounds) <= 3 or not all(type(bound) is int for bound in bounds):
        raise LiteralError("range takes one to three whole numbers")
    if any(abs(bound) > LONGEST_RANGE for bound in bounds):
        raise LiteralError(f"only range(...) with numbers up to {LONGEST_RANGE} is understood")
    return list(range(*bounds))


def _listed(value: Any = ()) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise LiteralError("list(...) and the like take a list")
    return list(value)


def sorted_numbers(value: Any = ()) -> list[Any]:
    """Different whole numbers in ascending order, which is how Python prints a set of small ones."""
    if not all(type(entry) is int for entry in _listed(value)):
        raise LiteralError("a set and sorted(...) hold whole numbers only")
    return sorted(set(value))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise LiteralError("an integer type holds no whole number")
    return value


def _text(value: Any = "") -> str:
    if not isinstance(value, str):
        raise LiteralError("str(...) holds no text")
    return value


def _array(value: Any, *_: Any) -> Any:
    return value


def record(name: str, values: list[Any], named: dict[Any, Any]) -> dict[Any, Any]:
    """The dictionary that a call of `name` in `RECORDS` makes of its arguments."""
    found: dict[Any, Any] = {}
    if name == "Genotype" and values:
        raise LiteralError("expected Genotype(name=value, ...)")
    for value in values:
        pairs = list(value.items()) if isinstance(value, dict) else value
        if not isinstance(pairs, (list, tuple)) or not all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs
        ):
            raise LiteralError(f"{name}(...) has arguments that it cannot take")
        for key, item in pairs:
            add_field(found, key, item)
    for key, item in named.items():
        add_field(found, key, item)
    return found


#: What becomes a dictionary.
RECORDS = {"Genotype", "dict", "OrderedDict", "mappingproxy", "MappingProxyType"}
#: What is understood beside them: by the last part of its name, from positional arguments. Arguments with a name,
#: such as dtype=..., are read and not used.
CALLS: Mapping[str, Callable[..., Any]] = {
    "range": _range,
    "arange": _range,
    "list": _listed,
    **dict.fromkeys(("sorted", "set", "frozenset"), sorted_numbers),
    "tuple": lambda value=(): tuple(_listed(value)),
    **dict.fromkeys(("array", "asarray", "tensor"), _array),
    **dict.fromkeys(("int", "int8", "int16", "int32", "int64", "intp", "uint8", "uint16", "uint32", "uint64"), _whole),
    **dict.fromkeys(("float", "float16", "float32", "float64"), lambda value: float(value)),
    **dict.fromkeys(("str", "str_"), _text),
}
