"""Named components: one registry class for everything that a configuration chooses by name.

A component is registered by a decorator and found by its name. If it has settings, the dataclass of
its settings is registered with it::

    RELAXATIONS = Registry("relaxation")

    @RELAXATIONS.register("softmax")
    class Softmax(Relaxation): ...

    @RELAXATIONS.register("gumbel", settings=GumbelSettings)
    class Gumbel(Relaxation):
        def __init__(self, settings: GumbelSettings) -> None: ...

    RELAXATIONS.list()
    RELAXATIONS.get("softmax")
    RELAXATIONS.build(config.relaxation)
"""

from __future__ import annotations

import difflib
import inspect
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Generic, TypeVar, cast

from darts_pl.errors import UserError

Item = TypeVar("Item")
Given = TypeVar("Given")


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """The settings of a component that has none."""


def unknown_name(what: str, name: object, known: Sequence[str]) -> str:
    """The message for a name that is not one of `known`; it gives the nearest known name, if one is near."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {name!r}; {guess}known: {', '.join(known) or 'none'}"


class Registry(Generic[Item]):
    """Components of one sort by name, in the order of their registration.

    Args:
        what: what one component is called in messages, such as "selection rule".
        reserved: names that no component may have.
        hint: a line that ends the message for an unknown name, such as how a user adds a component.
        base: the settings of a component that brings none; all other settings must be a subclass of it.
    """

    def __init__(self, what: str, *, reserved: Sequence[str] = (), hint: str = "", base: type = NoSettings) -> None:
        self.what = what
        self.reserved = tuple(reserved)
        self.hint = hint
        self.base = base
        self._items: dict[str, Item] = {}
        self._origins: dict[str, _Origin] = {}
        self._settings: dict[str, type] = {}

    def register(self, name: str, *, settings: type | None = None, origin: Any = None) -> Callable[[Given], Given]:
        """Decorator that registers a component under `name` and returns it unchanged.

        The same definition may be registered again, as happens when its module is reloaded; the
        newer one then replaces the older one.

        Args:
            name: letters, digits and underscores.
            settings: the dataclass of the component's settings; None = the registry's `base`.
            origin: the function or class whose place is remembered; None = the component.

        Raises:
            UserError: if the name is no identifier, or another component has it.
        """
        self.check_name(name)

        def add(item: Given) -> Given:
            self.add(name, cast("Item", item), settings=settings, origin=origin)
            return item

        return add

    def add(self, name: str, item: Item, *, settings: type | None = None, origin: Any = None) -> None:
        """Register `item` under `name`; see `register`."""
        self.check_name(name)
        settings = self.base if settings is None else settings
        if not (isinstance(settings, type) and is_dataclass(settings)):
            raise UserError(f"{self.what} {name!r}: settings={settings!r} must be a dataclass")
        if self.base is not NoSettings and not issubclass(settings, self.base):
            raise UserError(f"{self.what} {name!r}: {settings.__name__} must be a subclass of {self.base.__name__}")
        place = _origin(item if origin is None else origin)
        if name in self._items and self._origins[name] != place:
            raise UserError(
                f"{self.what} {name!r} ({place.text}): the name is already taken by {self._origins[name].text}; "
                "choose another name"
            )
        self._items[name] = item
        self._origins[name] = place
        self._settings[name] = settings

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
        message = unknown_name(self.what, name, [*self.reserved, *self._items])
        return f"{message}\n{self.hint}" if self.hint else message

    def settings(self, name: str) -> type:
        """The dataclass of the settings of `name`; the registry's `base` if it was registered without one.

        Raises:
            UserError: if there is no such component.
        """
        self.get(name)
        return self._settings[name]

    def build(self, settings: Any, *arguments: Any, **named: Any) -> Any:
        """The component that `settings.name` chooses, built from its settings and the other arguments.

        A component that was registered with settings is called with them as its first argument; one
        without is called with the other arguments only.

        Args:
            settings: a section of the configuration.
            arguments, named: what every component of this sort receives.

        Raises:
            UserError: if there is no such component, it does not take these arguments, or a component of a user
                raises an exception.
        """
        component: Any = self.get(settings.name)
        if self._settings[settings.name] is not NoSettings:
            arguments = (settings, *arguments)
        try:
            inspect.signature(component).bind(*arguments, **named)
        except TypeError as error:
            given = [type(one).__name__ for one in arguments] + [f"{key}=..." for key in named]
            raise UserError(
                f"{self.what} {settings.name!r} ({self.where(settings.name)}): {error}; "
                f"it is called with ({', '.join(given)})"
            ) from None
        except ValueError:  # a component without a signature, such as one written in C
            pass
        try:
            return component(*arguments, **named)
        except UserError:
            raise
        except Exception as error:
            if self._is_ours(settings.name):
                raise
            raise UserError(f"{self.what} {settings.name!r} of {self._reason(settings.name, error)}") from error

    def _is_ours(self, name: str) -> bool:
        """Whether this package defines the component."""
        return self._origins[name].module.partition(".")[0] == __name__.partition(".")[0]

    def _reason(self, name: str, error: Exception) -> str:
        """One line: the innermost place in the component's module that raised it, which exception, its message.

        An exception that did not pass through that module, such as that of an inherited constructor, is reported
        with the place where the component is defined.
        """
        origin = self._origins[name]
        place = ""
        for frame, line in traceback.walk_tb(error.__traceback__):
            if frame.f_globals.get("__name__") == origin.module:
                place = f"{frame.f_code.co_filename}:{line}"
        text = " ".join(str(error).split())
        return f"{place or origin.text}: {type(error).__name__}{f': {text}' if text else ''}"

    def list(self) -> tuple[str, ...]:
        """All names, in the order of registration."""
        return tuple(self._items)

    def where(self, name: str) -> str:
        """Where the component `name` was defined, as ``module.qualname (file:line)``."""
        self.get(name)
        return self._origins[name].text

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)


def origin_of(item: Any) -> str:
    """Where a function or class is defined, as ``module.qualname (file:line)``."""
    return _origin(item).text


@dataclass(frozen=True)
class _Origin:
    """Where a component is defined: two definitions of one name in one module are the same component.

    The line is looked up when it is asked for, since finding that of a class means to parse its file.
    """

    module: str
    name: str
    item: Any = field(compare=False)

    @property
    def text(self) -> str:
        """As ``module.qualname (file:line)``."""
        whole = f"{self.module}.{self.name}" if self.name else self.module
        if isinstance(self.item, str):
            return f"{whole} ({self.item})"
        try:
            return f"{whole} ({inspect.getsourcefile(self.item)}:{inspect.getsourcelines(self.item)[1]})"
        except (OSError, TypeError):  # built in, or defined where there is no file
            return whole


def _origin(item: Any) -> _Origin:
    """Where a component is defined; one that is neither a class nor a function is known by the module that registers
    it."""
    if not (inspect.isclass(item) or inspect.isroutine(item)):
        return _caller()
    return _Origin(getattr(item, "__module__", None) or "?", getattr(item, "__qualname__", repr(item)), item)


def _caller() -> _Origin:
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    if frame is None:
        return _Origin("?", "", None)
    return _Origin(str(frame.f_globals.get("__name__", "?")), "", f"{frame.f_code.co_filename}:{frame.f_lineno}")
