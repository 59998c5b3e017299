"""From the composed configuration to the typed one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import fields

from omegaconf import DictConfig, OmegaConf

from darts_pl.config.config import CommandSettings, Config
from darts_pl.config.convert import UnknownKeyError, convert
from darts_pl.config.sections import SECTIONS, Choice, keys_of
from darts_pl.config.upgrade import upgrade_keys
from darts_pl.errors import UserError
from darts_pl.registry import Registry
from darts_pl.settings import check

#: A check of settings of several sections; it yields messages.
CrossCheck = Callable[[Config], Iterator[str]]

#: Checks of settings of several sections, by name.
CROSS_CHECKS: Registry[CrossCheck] = Registry("check of the configuration")


def parse_config(config: DictConfig) -> Config:
    """The composed configuration as dataclasses, checked.

    The sections are those that were registered: `darts_pl.tasks` registers those of the package.
    Keys of earlier versions are read under their new names.

    Raises:
        UserError: for an unknown key (with the nearest known one), a missing or wrongly typed value,
            a component that is not registered, or values that do not fit each other.
    """
    assert SECTIONS, "no section is registered; import darts_pl.tasks first"
    found = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    assert isinstance(found, dict)
    values = upgrade_keys(found)
    own = {one.name for one in fields(CommandSettings)}
    try:
        for name in values:
            if name not in own and name not in SECTIONS:
                raise UnknownKeyError(str(name))
        command = convert(CommandSettings, {name: values[name] for name in values if name in own}, "")
        check(command, "")
        sections = {name: section.parse(values.get(name)) for name, section in SECTIONS.items()}
    except UnknownKeyError as error:
        raise UserError(unknown_key(error.key)) from None
    result = Config(**vars(command), sections=sections)
    for message in _conflicts(result):
        raise UserError(message)
    return result


def _conflicts(config: Config) -> Iterator[str]:
    """What does not fit together across sections.

    A settings class may define ``requires(config)``, which yields messages.
    """
    for name in CROSS_CHECKS:
        yield from CROSS_CHECKS.get(name)(config)
    for section in config.sections.values():
        for settings in section.values() if isinstance(section, dict) else [section]:
            requires = getattr(settings, "requires", None)
            if requires is not None:
                yield from requires(config)


def known_keys() -> list[str]:
    """All keys of the configuration, dotted, with every component that can be chosen."""
    keys = [one.name for one in fields(CommandSettings)]
    for name, section in SECTIONS.items():
        keys.append(name)
        for prefix, _, schema in section.schemas():
            keys += [prefix, *keys_of(schema, prefix)]
    return list(dict.fromkeys(keys))


def nearest_key(key: str) -> str | None:
    """The known key that looks most like `key`, if any does."""
    known = [name for name in known_keys() if not f"{key}.".startswith(f"{name}.")]
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not close:  # the right name in the wrong place
        last = {name.rsplit(".", 1)[-1]: name for name in reversed(known)}
        close = [last[name] for name in difflib.get_close_matches(key.rsplit(".", 1)[-1], last, n=1, cutoff=0.75)]
    return close[0] if close else None


def unknown_key(key: str) -> str:
    """The message for a key that the configuration does not have, or not in this combination."""
    owners = list(_owners(key))
    if owners:
        return f"unknown key {key}: it is a key of {', '.join(owners)} only"
    near = nearest_key(key)
    return f"unknown key {key}" + (f"; did you mean {near}?" if near else "; --cfg job prints all keys")


def _owners(key: str) -> Iterator[str]:
    """The choices that have this key, such as "order=second"."""
    for section in SECTIONS.values():
        if isinstance(section, Choice):
            for prefix, label, schema in section.schemas():
                if key in keys_of(schema, prefix):
                    yield label
