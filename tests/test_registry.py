"""The registry: names, who owns them, settings, and how components are built."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from darts_pl.errors import UserError
from darts_pl.registry import NoSettings, Registry, unknown_name


@dataclass(frozen=True, kw_only=True)
class WidthSettings:
    width: int


class Narrow:
    """A component without settings."""

    def __init__(self, place: str) -> None:
        self.place = place


class Wide:
    """A component with settings."""

    def __init__(self, settings: WidthSettings, place: str, *, height: int = 1) -> None:
        self.settings, self.place, self.height = settings, place, height


@pytest.fixture
def shapes() -> Registry[type]:
    registry: Registry[type] = Registry("shape", reserved=("none",), hint="your own: register a class")
    registry.register("narrow")(Narrow)
    registry.register("wide", settings=WidthSettings)(Wide)
    return registry


def test_components_are_listed_in_the_order_of_registration_and_found_by_name(shapes: Registry[type]) -> None:
    assert shapes.list() == tuple(shapes) == ("narrow", "wide")
    assert shapes.get("wide") is Wide
    assert "wide" in shapes
    assert "none" not in shapes
    assert (shapes.settings("narrow"), shapes.settings("wide")) == (NoSettings, WidthSettings)


def test_where_a_component_was_defined_is_its_line_in_its_file(shapes: Registry[type]) -> None:
    lines, first = inspect.getsourcelines(Wide)
    assert lines[0] == "class Wide:\n"
    assert shapes.where("wide") == f"{__name__}.Wide ({__file__}:{first})"


def test_an_unknown_name_is_reported_with_the_nearest_and_all_known_ones(shapes: Registry[type]) -> None:
    for ask in (shapes.get, shapes.settings, lambda name: shapes.build(SimpleNamespace(name=name), "here")):
        with pytest.raises(UserError) as caught:
            ask("widee")
        assert str(caught.value) == (
            "unknown shape 'widee'; did you mean 'wide'? known: none, narrow, wide\nyour own: register a class"
        )
    assert unknown_name("shape", "zzz", ["wide"]) == "unknown shape 'zzz'; known: wide"
    assert unknown_name("shape", 3, []) == "unknown shape 3; known: none"


def test_a_taken_name_is_refused_with_both_places_and_the_first_owner_stays(shapes: Registry[type]) -> None:
    with pytest.raises(UserError, match=rf"'wide' \({__name__}\.Narrow .*already taken by {__name__}\.Wide "):
        shapes.register("wide")(Narrow)
    assert shapes.get("wide") is Wide
    assert shapes.settings("wide") is WidthSettings


def test_the_same_definition_may_be_registered_again_and_the_newer_one_replaces_it(shapes: Registry[type]) -> None:
    reloaded = type("Wide", (), {"__module__": __name__, "__qualname__": "Wide"})
    shapes.register("wide", settings=WidthSettings)(reloaded)
    assert shapes.get("wide") is reloaded
    assert shapes.list() == ("narrow", "wide")


def test_an_object_belongs_to_the_module_that_registers_it(shapes: Registry[object]) -> None:
    shapes.add("one", object())
    assert shapes.where("one").startswith(f"{__name__} ({__file__}:")
    other = {"__name__": "other_module", "registry": shapes}
    with pytest.raises(UserError, match=rf"other_module .*already taken by {__name__} "):
        exec("registry.add('one', object())", other)


@pytest.mark.parametrize("name", ["", "7x7", "my-conv", "a b", "a.b", 3])
def test_a_name_that_is_no_identifier_is_refused(name: str, shapes: Registry[type]) -> None:
    with pytest.raises(UserError, match="use letters, digits and _ only"):
        shapes.register(name)


def test_a_reserved_name_and_settings_that_are_no_dataclass_are_refused(shapes: Registry[type]) -> None:
    with pytest.raises(UserError, match="'none': the name is reserved"):
        shapes.register("none")
    with pytest.raises(UserError, match="'round': settings=<class 'dict'> must be a dataclass"):
        shapes.register("round", settings=dict)(Narrow)
    assert "round" not in shapes


def test_a_component_with_settings_is_built_from_them_and_one_without_is_not(shapes: Registry[type]) -> None:
    narrow = shapes.build(SimpleNamespace(name="narrow"), "here")
    assert narrow.place == "here"
    settings = SimpleNamespace(name="wide", width=3)
    wide = shapes.build(settings, "there", height=2)
    assert (wide.settings, wide.place, wide.height) == (settings, "there", 2)


def test_a_component_that_takes_other_arguments_is_reported_with_its_file(shapes: Registry[type]) -> None:
    with pytest.raises(UserError) as caught:
        shapes.build(SimpleNamespace(name="narrow"), "here", "there")
    message = str(caught.value)
    assert f"shape 'narrow' ({__name__}.Narrow ({__file__}:" in message
    assert "too many positional arguments; it is called with (str, str)" in message


def test_a_component_without_settings_has_those_of_its_registry_and_others_must_extend_them() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Base:
        size: int

    @dataclass(frozen=True, kw_only=True)
    class Wider(Base):
        width: int

    registry: Registry[type] = Registry("shape", base=Base)
    registry.add("plain", int)
    registry.add("wide", int, settings=Wider)
    assert (registry.settings("plain"), registry.settings("wide")) == (Base, Wider)
    with pytest.raises(UserError, match="shape 'odd': NoSettings must be a subclass of Base"):
        registry.add("odd", int, settings=NoSettings)
