"""HTML and SVG as text: what is not markup already is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable


class Markup(str):
    """Text that is HTML or SVG already."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]
#: Elements that have no end tag.
VOID = frozenset({"meta", "link", "img", "input", "br"})


def tag(element: str, *children: Child, **attributes: object) -> Markup:
    """An element with its children.

    Args:
        element: its name.
        children: Markup is taken as it is, all else is escaped; None is left out; lists are unpacked.
        attributes: `class_` is written ``class``, other underscores as ``-``; None and False are left out, True gives
            an attribute without value.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if element in VOID:
        return Markup(f"<{element}{written}>")
    return Markup(f"<{element}{written}>{join(children)}</{element}>")


def join(children: Iterable[Child]) -> Markup:
    """Children in a row, see `tag`."""
    return Markup("".join(_child(child) for child in children))


def text(value: object) -> Markup:
    """Any value as escaped text. Characters that HTML does not allow become question marks."""
    plain = "".join(one if one.isprintable() or one in "\n\t" else "?" for one in str(value))
    return Markup(html.escape(plain, quote=True))


def place(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}".removesuffix(".0")


def number(value: object) -> str:
    """A value as people read it: four significant digits, thousands separated."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite"
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.2e}"


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(value)}"'


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, (str, int, float)):
        return text(child)
    return join(child)
