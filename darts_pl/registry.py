"""Named components: one registry class for everything that a configuration chooses by name.

A component is registered by a decorator and found by its name::

    RELAXATIONS = Registry("relaxation")

    @RELAXATIONS.register("softmax")
    class Softmax(Relaxation): ...

    RELAXATIONS.get("softmax")
    RELAXATIONS.list()
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from darts_pl.errors import UserError

Item = TypeVar("Item")
Given = TypeVar("Given")


class Registry(Generic[Item]):
    """Components of one sort by name, in the order of their registration.

    Args:
        what: what one component is called in messages, such as "selection rule".
        reserved: names that no component may have.
        hint: a line that ends the message for an unknown name, such as how a user adds a component.
    """

    def __init__(self, what: str, *, reserved: Sequence[str] = (), hint: str = "") -> None:
        self.what = what
        self.reserved = tuple(reserved)
        self.hint = hint
        self._items: dict[str, Item] = {}
        self._origins: dict[str, tuple[str, str, str]] = {}

    def register(self, name: str, *, origin: Any = None) -> Callable[[Given], Given]:
        """Decorator that registers a component under `name` and returns it unchanged.

        The same definition may be registered again, as happens when its module is reloaded; the
        newer one then replaces the older one.

        Args:
            name: letters, digits and underscores.
            origin: the function or class whose place is remembered; None = the component.

        Raises:
            UserError: if the name is no identifier, or another component has it.
        """
        self.check_name(name)

        def add(item: Given) -> Given:
            self.add(name, item, origin=item if origin is None else origin)  # type: ignore[arg-type]
            return item

        return add

    def add(self, name: str, item: Item, *, origin: Any = None) -> None:
        """Register `item` under `name`; see `register`."""
        self.check_name(name)
        place = _place(item if origin is None else origin)
        if name in self._items and self._origins[name][:2] != place[:2]:
            raise UserError(
                f"{self.what} {name!r} ({place[2]}): the name is already taken by {self._origins[name][2]}; "
                "choose another name"
            )
        self._items[name] = item
        self._origins[name] = place

    def check_name(self, name: str) -> None:
        """Raise UserError unless `name` is an identifier that is not reserved."""
        if not isinstance(name, str) or not name.isidentifier():
            raise UserError(f"{self.what} name {name!r}: use letters, digits and _ only")
        if name in self.reserved:
            raise UserError(f"{self.what} name {name!r}: the name is reserved; choose another name")

    def get(self, name: str) -> Item:
        """The component called `name`.

        Raises:
            UserError: if there is none; the message names the nearest one and lists all.
        """
        try:
            return self._items[name]
        except (KeyError, TypeError):
            raise UserError(self.unknown(name)) from None

    def unknown(self, name: object) -> str:
        """The message for a name that is not registered."""
        known = [*self.reserved, *self._items]
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
        guess = f"did you mean {near[0]!r}? " if near else ""
        message = f"unknown {self.what} {name!r}; {guess}known: {', '.join(known) or 'none'}"
        return f"{message}\n{self.hint}" if self.hint else message

    def list(self) -> tuple[str, ...]:
        """All names, in the order of registration."""
        return tuple(self._items)

    def where(self, name: str) -> str:
        """Where the component `name` was defined, as ``module.qualname (file:line)``."""
        self.get(name)
        return self._origins[name][2]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)


def _place(item: Any) -> tuple[str, str, str]:
    """(module, qualified name, both with the file and line) of where a component is defined."""
    target = item if inspect.isclass(item) or inspect.isroutine(item) else type(item)
    module = getattr(target, "__module__", None) or "?"
    name = getattr(target, "__qualname__", repr(item))
    try:
        file = f"{inspect.getsourcefile(target)}:{inspect.getsourcelines(target)[1]}"
    except (OSError, TypeError):  # built in, or defined where there is no file
        return module, name, f"{module}.{name}"
    return module, name, f"{module}.{name} ({file})"
