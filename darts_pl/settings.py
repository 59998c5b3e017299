"""Settings of components: a dataclass whose fields say what they mean and which values they take.

The dataclass of a component is the only place that names its settings. The schema of its section
of the configuration, the checks, and the reference page are derived from it; defaults and their
sources are in `conf/`::

    @dataclass(frozen=True, kw_only=True)
    class GumbelSettings:
        tau: float = setting("temperature of the softmax", above(0))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from darts_pl.errors import UserError


@dataclass(frozen=True)
class Range:
    """Which values a setting takes.

    Args:
        holds: whether a value of the right type is allowed.
        text: the same in words, after "must be".
        outside: values that the range refuses, for tests.
    """

    holds: Callable[[Any], bool]
    text: str
    outside: tuple[Any, ...] = ()


def setting(help: str, within: Range | None = None, **options: Any) -> Any:
    """A dataclass field with a line of help and a range.

    Args:
        help: what the setting is, in one line, with its unit.
        within: which values are allowed; None = every value of the type.
        options: passed on to `dataclasses.field`.
    """
    return field(metadata={"help": help, "range": within}, **options)


def at_least(least: float) -> Range:
    """Numbers from `least` on."""
    return Range(lambda value: value >= least, f"at least {least}", (least - 1,))


def above(bound: float) -> Range:
    """Numbers greater than `bound`."""
    return Range(lambda value: value > bound, f"above {bound}", (bound, bound - 1))


def between(low: float, high: float, *, with_low: bool = True, with_high: bool = True) -> Range:
    """Numbers between two bounds, each of which belongs to the range or does not."""

    def holds(value: Any) -> bool:
        return (low <= value if with_low else low < value) and (value <= high if with_high else value < high)

    if with_low and with_high:
        text = f"{low} to {high}"
    else:
        text = f"{'at least' if with_low else 'above'} {low}, {'at most' if with_high else 'below'} {high}"
    outside = [low - 1, high + 1, *([] if with_low else [low]), *([] if with_high else [high])]
    return Range(holds, text, tuple(outside))


def one_of(*values: Any) -> Range:
    """One of the given values."""
    return Range(lambda value: value in values, f"one of {', '.join(map(str, values))}", ("no_such_value",))


def or_null(within: Range, meaning: str) -> Range:
    """The range `within`, or null, which means `meaning`."""
    return Range(
        lambda value: value is None or within.holds(value), f"{within.text}, or null for {meaning}", within.outside
    )


def each(within: Range, count: int | None = None, text: str | None = None) -> Range:
    """Lists whose elements are all in the range `within`.

    Args:
        within: of one element.
        count: how many elements there are; None = one or more.
        text: the range in words; None = made from the other two.
    """

    def holds(values: Any) -> bool:
        enough = len(values) == count if count is not None else len(values) >= 1
        return enough and all(within.holds(value) for value in values)

    words = text or f"{count if count is not None else 'one or more'} numbers, each {within.text}"
    wrong = tuple([value] * (count or 1) for value in within.outside)
    return Range(
        holds, words, ([], *wrong, *(([within.outside[0]] * (count + 1),) if count and within.outside else ()))
    )


def check(settings: Any, prefix: str) -> None:
    """Raise UserError for the first value outside its range, with its dotted key.

    A settings class may define ``conflicts()``, which yields (field name, what must hold) for
    values that do not fit each other.

    Args:
        settings: an instance of a settings dataclass, whose sections may be such as well.
        prefix: the key of the section, such as "search"; "" for the top level.
    """
    for key, value, within in _values(settings, prefix):
        if within is not None and not _holds(within, value):
            raise UserError(f"{key}={value}: must be {within.text}")
    for key, section in _sections(settings, prefix):
        conflicts: Callable[[], Iterator[tuple[str, str]]] | None = getattr(section, "conflicts", None)
        for name, must in conflicts() if conflicts is not None else ():
            raise UserError(f"{f'{key}.{name}' if key else name}={getattr(section, name)}: {must}")


def _holds(within: Range, value: Any) -> bool:
    try:
        return bool(within.holds(value))
    except TypeError:  # null where a number is needed
        return False


def _values(settings: Any, prefix: str) -> Iterator[tuple[str, Any, Range | None]]:
    for key, section in _sections(settings, prefix):
        for one in fields(section):
            value = getattr(section, one.name)
            if not is_dataclass(value):
                yield f"{key}.{one.name}" if key else one.name, value, one.metadata.get("range")


def _sections(settings: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """`settings` and every settings dataclass inside it, with their dotted keys."""
    yield prefix, settings
    for one in fields(settings):
        value = getattr(settings, one.name)
        if is_dataclass(value):
            yield from _sections(value, f"{prefix}.{one.name}" if prefix else one.name)


def fields_of(schema: type) -> Mapping[str, dataclasses.Field[Any]]:
    """The fields of a settings dataclass by name."""
    return {one.name: one for one in fields(schema)}
