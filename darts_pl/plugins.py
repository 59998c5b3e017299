"""Code of users: modules named by `imports=[...]`, and installed packages.

An installed package takes part through the entry-point group ``darts_pl.plugins``. Each entry point
names a module, which registers components when it is imported, or a function of no arguments, which
registers them when it is called. A folder `conf` inside that package (or beside that module) is added
to the places where Hydra looks for group files, so that ``method=theirs`` works::

    [project.entry-points."darts_pl.plugins"]
    theirs = "their_package"
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from darts_pl.errors import UserError
from darts_pl.interruption import Interrupted

_log = logging.getLogger(__name__)

GROUP = "darts_pl.plugins"

#: Plugins that this process has loaded, or has named as broken.
_seen: set[tuple[str, str]] = set()


def load_plugins() -> None:
    """Load every installed plugin; one that fails is named in one line, and the others are loaded."""
    for plugin in entry_points(group=GROUP):
        if (plugin.name, plugin.value) in _seen:
            continue
        _seen.add((plugin.name, plugin.value))
        try:
            found = plugin.load()
            if callable(found):  # a module is not
                found()
        except (KeyboardInterrupt, Interrupted):
            raise
        except BaseException as error:  # SystemExit as well: a plugin must not end the program
            _log.warning("plugin %s is not loaded: %s", _named(plugin), _reason(error))


def import_modules(modules: Sequence[str]) -> None:
    """Import the modules that `imports=[...]` names.

    Args:
        modules: dotted names, found in the working directory or the environment.

    Raises:
        UserError: if there is none of this name, or it raises an exception; in one line.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for module in modules:
        try:
            importlib.import_module(module)
        except (KeyboardInterrupt, Interrupted):
            raise
        except BaseException as error:
            if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
                raise UserError(f"imports: no module {module!r} in the working directory or the environment") from None
            raise UserError(f"imports: module {module!r} is not loaded: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """One line: where in the user's code, which exception, and its message."""
    if isinstance(error, UserError):  # of a registry: it names the file
        return " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    mine = __name__.partition(".")[0]
    frames = [
        (str(frame.f_globals.get("__name__")).partition(".")[0], f"{frame.f_code.co_filename}:{line}: ")
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith("<")
    ]
    theirs = [(package, place) for package, place in frames if package not in (mine, "importlib")]
    # The innermost place in the user's own code, not in a library that it called.
    place = [place for package, place in theirs if package == theirs[0][0]][-1] if theirs else ""
    text = " ".join(str(error).split())
    return f"{place}{type(error).__name__}{f': {text}' if text else ''}"


def _named(plugin: EntryPoint) -> str:
    package = f" of {plugin.dist.name} {plugin.dist.version}" if plugin.dist is not None else ""
    return f"{plugin.name!r}{package} ({plugin.value})"


def register_plugin_folders() -> None:
    """Have Hydra look for group files in the `conf` folders of installed plugins; they are not imported."""
    Plugins.instance().register(PluginFolders)


class PluginFolders(SearchPathPlugin):
    """Hydra's hook for more places with group files."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the `conf` folder of every installed plugin that has one."""
        for plugin in entry_points(group=GROUP):
            folder = conf_folder(plugin)
            if folder is not None:
                search_path.append(provider=plugin.name, path=f"file://{folder}")


def conf_folder(plugin: EntryPoint) -> Path | None:
    """The folder `conf` in the package, or beside the module, that the entry point names, if there is one."""
    top, *inside = plugin.module.split(".")
    try:
        spec: ModuleSpec | None = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations)))
    elif spec.origin is not None:
        folder = Path(spec.origin).parent
    else:
        return None
    for name in inside:
        if (folder / name).is_dir():
            folder = folder / name
    return folder / "conf" if (folder / "conf").is_dir() else None


def modules_of(value: Any) -> list[str]:
    """The value of `imports` as a list of names.

    Raises:
        UserError: if it is none.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(one, str) for one in value):
        raise UserError(f"imports={value}: must be a list, such as imports=[a,b]")
    return list(value)
