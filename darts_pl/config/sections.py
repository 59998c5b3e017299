"""The sections of the configuration: which settings each of them holds.

Every section is declared once, by `register_section`; `darts_pl/tasks/declarations/sections.py` declares those of
the package, and a plugin may declare its own. There are four forms:

- a choice: one key, mostly `name`, chooses a component; the others are that component's settings
- a group of components: by name, each with its settings (`observers`)
- fixed settings (`hardware`)
- fixed settings and, beside them, one section per component that is used (`logger`)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from functools import cache
from typing import Any, get_type_hints

from darts_pl.config.convert import MUST_BE_GIVEN, convert, without_none
from darts_pl.errors import UserError
from darts_pl.registry import Registry, unknown_name
from darts_pl.settings import check, setting

#: What the key is that chooses a component.
CHOICE_HELP = "which component is used"


class Section(ABC):
    """One section of the configuration.

    Args:
        name: its key at the top level.
    """

    name: str

    @abstractmethod
    def parse(self, values: Any) -> Any:
        """The settings that `values` describes, with the right types, each in its range.

        Args:
            values: as plain values; None where the configuration has no such section.

        Raises:
            UnknownKeyError: for a key that these settings do not have.
            UserError: for a component that is not registered, or a missing or wrong value.
        """

    @abstractmethod
    def schemas(self) -> Iterator[tuple[str, str, type]]:
        """(prefix of the keys, what chooses them such as "order=second" or "", settings dataclass)."""


@dataclass(frozen=True)
class Choice(Section):
    """A section in which `key` chooses a component of `registry`."""

    name: str
    key: str
    registry: Registry[Any]

    def parse(self, values: Any) -> Any:
        values = _mapping(self.name, values)
        chosen = values.get(self.key)
        if chosen in (None, MUST_BE_GIVEN):
            raise UserError(f"{self.name}.{self.key} is missing; choose one of {', '.join(self.registry)}")
        if chosen not in self.registry:
            raise UserError(with_hint(self.registry, unknown_name(self.name, chosen, self.registry.list())))
        return _checked(self.schema(chosen), values, self.name, self.label(chosen))

    def label(self, name: str) -> str:
        """What chooses component `name` on a command line."""
        return f"{self.name}={name}" if self.key == "name" else f"{self.name}.{self.key}={name}"

    def schema(self, name: str) -> type:
        """The dataclass of the settings of component `name`, with the key that chooses it."""
        return _with_key(self.registry.settings(name), self.key)

    def schemas(self) -> Iterator[tuple[str, str, type]]:
        for name in self.registry:
            yield self.name, self.label(name), self.schema(name)


@dataclass(frozen=True)
class Group(Section):
    """A section that holds any number of components of `registry`, by name."""

    name: str
    registry: Registry[Any]

    def parse(self, values: Any) -> dict[str, Any]:
        result = {}
        for name, given in _mapping(self.name, values).items():
            if name not in self.registry:
                raise UserError(with_hint(self.registry, unknown_name(self.name, name, self.registry.list())))
            settings = {"name": name} | dict(_mapping(f"{self.name}.{name}", given))
            result[name] = _checked(_with_key(self.registry.settings(name), "name"), settings, f"{self.name}.{name}")
        return result

    def schemas(self) -> Iterator[tuple[str, str, type]]:
        for name in self.registry:
            yield f"{self.name}.{name}", f"{self.name}=[{name}]", self.registry.settings(name)


@dataclass(frozen=True)
class Fixed(Section):
    """A section that always has the same settings."""

    name: str
    settings: type

    def parse(self, values: Any) -> Any:
        return _checked(self.settings, _mapping(self.name, values), self.name)

    def schemas(self) -> Iterator[tuple[str, str, type]]:
        yield self.name, "", self.settings


@dataclass(frozen=True)
class Parts(Section):
    """A section with settings of its own and one section per component of `registry` that is used.

    A component that is not used is null, false or left out; ``true`` stands for one without settings.
    """

    name: str
    settings: type
    registry: Registry[Any]

    def parse(self, values: Any) -> Any:
        values = dict(_mapping(self.name, values))
        parts: dict[str, Any] = {}
        for name in self.registry:
            given = values.pop(name, None)
            if given in (None, False):
                parts[name] = None
            else:
                prefix = f"{self.name}.{name}"
                given = {} if given is True else _mapping(prefix, given)
                parts[name] = _checked(self.registry.settings(name), given, prefix)
        own = _checked(self.settings, values, self.name)
        shown = {one.name: getattr(own, one.name) for one in fields(own)}
        return make_dataclass(
            self.settings.__name__,
            [(name, Any, field(kw_only=True)) for name in parts],
            bases=(self.settings,),
            frozen=_is_frozen(self.settings),
        )(**shown, **parts)

    def schemas(self) -> Iterator[tuple[str, str, type]]:
        yield self.name, "", self.settings
        for name in self.registry:
            yield f"{self.name}.{name}", f"{self.name}={name}", self.registry.settings(name)


SECTIONS: dict[str, Section] = {}


def register_section(
    name: str,
    *,
    registry: Registry[Any] | None = None,
    key: str = "name",
    settings: type | None = None,
    many: bool = False,
) -> None:
    """Declare the section `name` of the configuration.

    Args:
        name: its key at the top level.
        registry: the components that can be chosen, each with its settings.
        key: which key of the section chooses.
        settings: fixed settings. With `registry` as well, components are sections beside them.
        many: whether any number of components can be chosen.

    Raises:
        UserError: if another section has the name.
    """
    section: Section
    if settings is not None:
        section = Fixed(name, settings) if registry is None else Parts(name, settings, registry)
    else:
        assert registry is not None, "a section needs a registry or settings"
        section = Group(name, registry) if many else Choice(name, key, registry)
    if SECTIONS.get(name, section) != section:
        raise UserError(f"the section {name!r} of the configuration exists already; choose another name")
    SECTIONS[name] = section


def keys_of(schema: type, prefix: str) -> Iterator[str]:
    """The dotted keys of a settings dataclass, and of the dataclasses inside it."""
    hints = get_type_hints(schema)
    for one in fields(schema):
        key = f"{prefix}.{one.name}" if prefix else one.name
        yield key
        _, kind = without_none(hints[one.name])
        if isinstance(kind, type) and is_dataclass(kind):
            yield from keys_of(kind, key)


def with_hint(registry: Registry[Any], message: str) -> str:
    """`message`, followed by the registry's own hint."""
    return f"{message}\n{registry.hint}" if registry.hint else message


def _checked(schema: type, values: Mapping[str, Any], prefix: str, choice: str = "") -> Any:
    settings = convert(schema, values, prefix, choice if choice.startswith(f"{prefix}=") else "")
    check(settings, prefix)
    return settings


def _mapping(key: str, values: Any) -> Mapping[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise UserError(f"{key}={values}: holds several keys; give one of them as {key}.KEY=VALUE")
    return values


@cache
def _with_key(schema: type, key: str) -> type:
    """`schema` with a field for the key that chooses it, unless it has one."""
    if key in {one.name for one in fields(schema)}:
        return schema
    choice = setting(CHOICE_HELP)
    choice.kw_only = True
    added = make_dataclass(schema.__name__, [(key, str, choice)], bases=(schema,), frozen=_is_frozen(schema))
    added.__module__, added.__qualname__ = schema.__module__, schema.__qualname__
    return added


def _is_frozen(schema: type) -> bool:
    return bool(vars(schema)["__dataclass_params__"].frozen)
