"""Contracts that every section, component and group file keeps."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, get_type_hints

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from darts_pl.cli import config_folder
from darts_pl.config import (
    SECTIONS,
    Choice,
    CommandSettings,
    Config,
    Fixed,
    Group,
    Parts,
    parse_config,
    register_section,
)
from darts_pl.config.convert import UnknownKeyError, convert, without_none
from darts_pl.errors import UserError
from darts_pl.registry import Registry
from darts_pl.settings import Range, check
from darts_pl.tasks import TASKS

assert TASKS  # whose import registers the sections

GROUPS = sorted(
    (path.parent.name, path.stem)
    for path in config_folder().glob("*/*.yaml")
    if path.parent.name not in ("experiment", "hydra")
)
#: By the last word of a preset's name, the data that it is for.
PRESET_DATA = {
    "photos": ("data=image_folder",),
    "images": ("data=npz",),
    "text": ("data=text", "search=rnn"),
}
COMPONENTS = [(name, label) for name, section in SECTIONS.items() for _, label, _ in section.schemas()]


@functools.cache
def parsed(*overrides: str) -> Config:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return parse_config(compose("config", overrides=["task=zoo", "data.path=FILE", *overrides]))


def choice(group: str, name: str) -> tuple[str, ...]:
    """What chooses a group file, with the data that a preset is for."""
    return (f"{group}={name}", *(PRESET_DATA.get(name.rpartition("_")[2], ()) if group == "preset" else ()))


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    """Settings of every component, by what chooses it, as the group files give them."""
    found: dict[str, Any] = {}
    for group, name in GROUPS:
        config = parsed(*choice(group, name))
        for section in SECTIONS.values():
            settings = getattr(config, section.name)
            if isinstance(section, Choice):
                found.setdefault(section.label(getattr(settings, section.key)), settings)
            elif isinstance(section, Group):
                for chosen, values in settings.items():
                    found.setdefault(f"{section.name}=[{chosen}]", values)
            elif isinstance(section, Fixed):
                found.setdefault("", {})[section.name] = settings
            elif isinstance(section, Parts):
                found.setdefault("", {})[section.name] = settings
                for part in section.registry:
                    if getattr(settings, part) is not None:
                        found.setdefault(f"{section.name}={part}", getattr(settings, part))
    return found


def ranges(schema: type, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Range | None]]:
    hints = get_type_hints(schema)
    for one in fields(schema):
        _, kind = without_none(hints[one.name])
        if is_dataclass(kind):
            yield from ranges(kind, (*path, one.name))
        else:
            yield (*path, one.name), one.metadata.get("range")


def plain(settings: Any) -> Any:
    if is_dataclass(settings):
        return {one.name: plain(getattr(settings, one.name)) for one in fields(settings)}
    return settings


@pytest.mark.parametrize(("group", "name"), GROUPS)
def test_every_group_file_composes_and_is_typed(group: str, name: str) -> None:
    config = parsed(*choice(group, name))
    assert config.task.name == ("zoo" if group != "task" else name)
    if group in SECTIONS and isinstance(SECTIONS[group], Choice) and SECTIONS[group].key == "name":
        chosen = getattr(config, group).name
        assert name == chosen or name.startswith(f"{chosen}_")  # such as single_path_undrawn: other values


@pytest.mark.parametrize(("section", "label"), COMPONENTS)
def test_every_component_has_a_group_file_and_refuses_each_value_outside_its_range(
    section: str, label: str, examples: dict[str, Any]
) -> None:
    settings = examples[""][section] if label == "" else examples.get(label)
    assert settings is not None, f"no file in conf/ chooses {label}"
    schema = type(settings)
    prefix = "logger.wandb" if label == "logger=wandb" else section
    if isinstance(SECTIONS[section], Group):
        prefix = f"{section}.{settings.name}"
    for path, within in ranges(schema):
        for value in within.outside if within is not None else ():
            values = plain(settings)
            inside = values
            for name in path[:-1]:
                inside = inside[name]
            inside[path[-1]] = value
            with pytest.raises(UserError) as caught:
                check(convert(schema, values, prefix), prefix)
            assert str(caught.value).startswith(f"{'.'.join((prefix, *path))}"), (path, value)
            assert len(str(caught.value).splitlines()) == 1


def test_every_setting_has_a_line_of_help() -> None:
    schemas = [schema for section in SECTIONS.values() for _, _, schema in section.schemas()]
    for schema in [CommandSettings, *schemas]:
        for one in fields(schema):
            assert one.metadata.get("help"), f"{schema.__name__}.{one.name}"


def test_no_settings_class_of_the_package_repeats_a_default() -> None:
    for section in SECTIONS.values():
        for _, _, schema in section.schemas():
            assert all(one.default is MISSING and one.default_factory is MISSING for one in fields(schema)), schema


@dataclass(frozen=True, kw_only=True)
class Deep:
    rate: float
    names: list[str]


@dataclass(frozen=True, kw_only=True)
class Typed:
    count: int
    rate: float | None
    flag: bool
    rows: list[list[float]]
    table: dict[str, int]
    deep: Deep
    any: Any = None


GOOD = {
    "count": 1,
    "rate": None,
    "flag": False,
    "rows": [[1, 2.5]],
    "table": {"a": 1},
    "deep": {"rate": 1e-3, "names": ["a"]},
}


def test_plain_values_become_dataclasses_with_the_types_of_their_fields() -> None:
    found = convert(Typed, GOOD | {"count": "3", "rate": "1e-3"}, "part")
    assert found == Typed(
        count=3, rate=1e-3, flag=False, rows=[[1.0, 2.5]], table={"a": 1}, deep=Deep(rate=1e-3, names=["a"])
    )
    assert isinstance(found.rows[0][0], float)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 1.5}, "part.count=1.5: must be an integer"),
        ({"count": None}, "part.count=null: must be an integer"),
        ({"count": "???"}, "part.count is missing; give part.count=..."),
        ({"flag": "perhaps"}, "part.flag=perhaps: must be true or false"),
        ({"rows": [["a"]]}, "part.rows[0][0]=a: must be a number"),
        ({"rows": 3}, "part.rows=3: must be a list, such as part.rows=[a,b]"),
        ({"table": {"a": "b"}}, "part.table.a=b: must be an integer"),
        ({"deep": 3}, "part.deep=3: holds several keys, rate, names"),
        ({"deep": {"rate": 1}}, "part.deep.names is missing; give part.deep.names=..."),
    ],
)
def test_a_value_of_another_type_is_named_with_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        convert(Typed, GOOD | changes, "part")
    assert str(caught.value) == message


def test_an_unknown_key_inside_a_section_is_named_with_its_dotted_key() -> None:
    with pytest.raises(UnknownKeyError, match=r"^part\.deep\.nmes$"):
        convert(Typed, GOOD | {"deep": {"rate": 1, "nmes": []}}, "part")


def test_a_group_holds_any_number_of_components_each_with_its_settings() -> None:
    registry: Registry[object] = Registry("watcher")
    registry.add("early", object(), settings=Deep)
    registry.add("late", object())
    group = Group("watchers", registry)
    found = group.parse({"late": None, "early": {"rate": 2, "names": []}})
    assert list(found) == ["late", "early"]
    assert (found["early"].name, found["early"].rate, found["late"].name) == ("early", 2.0, "late")
    assert group.parse(None) == {}
    with pytest.raises(UserError, match="unknown watchers 'earl'; did you mean 'early'"):
        group.parse({"earl": {}})
    with pytest.raises(UserError, match=r"watchers\.early\.rate is missing"):
        group.parse({"early": {"names": []}})


def test_a_section_is_declared_once() -> None:
    registry: Registry[object] = Registry("order")
    with pytest.raises(UserError, match=r"section 'order' .* exists already"):
        register_section("order", registry=registry)


def test_a_composed_configuration_is_left_as_it_was() -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        composed = compose("config")
    before = OmegaConf.to_yaml(composed)
    parse_config(composed)
    assert OmegaConf.to_yaml(composed) == before
