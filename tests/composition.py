"""Hydra's composition, for many commands in one process.

A command of a second spends a third of it on its configuration, and the tests run about two thousand in process.
Nothing here changes what is composed (tests/config/test_composition.py compares):

- Hydra composes each configuration twice, the first time only to read ``hydra.mode``. That answer is kept for each
  set of configuration folders, experiment and overrides of Hydra's own settings.
- It builds a map for interpolated choices at each file, though only a file that has some reads it.
- It parses each override by a grammar in Python. The parsed form is kept, and copied.
- OmegaConf reads YAML by a parser in Python. libyaml's reads the same; what it refuses is read again, for the message.
"""

from __future__ import annotations

import copy
import functools
import inspect
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from hydra._internal import defaults_list
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import _utils as omegaconf_utils
from yaml.cyaml import CParser

#: Overrides of Hydra that decide nothing but where a run goes.
FOLDERS = ("hydra.run.dir=", "hydra.sweep.dir=", "hydra.sweep.subdir=")


def deciding(overrides: Sequence[str]) -> tuple[str, ...]:
    """Those of the overrides that can change Hydra's own settings."""
    return tuple(one for one in overrides if ("hydra" in one or "experiment" in one) and not one.startswith(FOLDERS))


def with_memory(get_mode: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[Any, Any] = {}

    @functools.wraps(get_mode)
    def run(self: Hydra, config_name: str | None, overrides: list[str]) -> Any:
        path = [(one.provider, one.path) for one in self.config_loader.get_search_path().get_path()]
        key = (config_name, tuple(path), deciding(overrides))
        if key not in known:
            known[key] = get_mode(self, config_name, overrides)
        return known[key]

    return run


def where_read(build: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(build)
    def run(overrides: Any, defaults: list[Any], self_added: bool) -> Any:
        return build(overrides, defaults, self_added) if any(one.is_interpolation() for one in defaults) else None

    return run


def kept(parse: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[tuple[str, str], Override] = {}

    @functools.wraps(parse)
    def run(self: OverridesParser, text: str, rule: str) -> Any:
        key = (text, rule)
        if key not in known:
            found = parse(self, text, rule)
            if rule != "override" or "(" in text:  # a function, such as shuffle(...), may draw
                return found
            known[key] = found
        return copy.deepcopy(known[key])

    return run


class Named(io.StringIO):
    """A text that was read from a file: messages name the file."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream.read())
        self.name = getattr(stream, "name", "<file>")


def by_libyaml(get_loader: Callable[[], Any]) -> Callable[[], Any]:
    plain = get_loader()

    class Loader(CParser, plain):
        def __init__(self, stream: Any) -> None:
            self.source = stream if isinstance(stream, str) else Named(stream)
            CParser.__init__(self, self.source)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

        def get_single_node(self) -> Any:
            try:
                return super().get_single_node()
            except yaml.YAMLError:
                if not isinstance(self.source, str):
                    self.source.seek(0)
                return plain(self.source).get_single_node()

    return functools.wraps(get_loader)(lambda: Loader)


#: By what holds it and its name, each function of Hydra that takes a shorter way, and that way.
SHORTER: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (Hydra, "get_mode", with_memory(Hydra.get_mode)),
    (defaults_list, "_create_interpolation_map", where_read(defaults_list._create_interpolation_map)),
    (OverridesParser, "parse_rule", kept(OverridesParser.parse_rule)),
    (omegaconf_utils, "get_yaml_loader", by_libyaml(omegaconf_utils.get_yaml_loader)),
)


@contextmanager
def quick_composition() -> Iterator[None]:
    """Within it, configurations are composed by the shorter ways."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, shorter in SHORTER:
            patch.setattr(owner, name, shorter)
        yield


@contextmanager
def plain_composition() -> Iterator[None]:
    """Within it, Hydra works as it is, in spite of `quick_composition`."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, shorter in SHORTER:
            patch.setattr(owner, name, inspect.unwrap(shorter))
        yield
