"""Which group of `conf/` has a key, and which groups a run chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.errors import HydraException

from darts_pl.config.convert import MUST_BE_GIVEN
from darts_pl.quoting import hydra_argument
from darts_pl.records.best import SWEEP_FILE
from darts_pl.records.configuration import CHOICES, CONFIG, read_yaml
from darts_pl.records.run_identity import same_data

#: Groups whose choice belongs to a trained network, in the order in which they are composed.
RUN_GROUPS = ("train", "data")
#: Groups that a command on a run may choose otherwise than the run did.
FREE_GROUPS = ("select",)


def config_folder() -> Path:
    """The folder of the YAML files: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def choices_with(key: str) -> list[str]:
    """The choices that bring a key, such as ``["data=image_folder", "data=imagenet"]``; empty if none does."""
    group, _, rest = key.partition(".")
    folder = config_folder() / group
    if not rest or not folder.is_dir():
        return []
    return [f"{group}={file.stem}" for file in sorted(folder.glob("*.yaml")) if rest in _keys(file, group)]


def explain_key(key: str, arguments: Sequence[str]) -> str | None:
    """Which choice of a group would bring a key that the command's choices do not have; None if no choice has it."""
    group = key.partition(".")[0]
    choices = choices_with(key)
    if not choices:
        return None
    if group == "logger":
        return f"{key}: needs {choices[0]} as well"
    run = _run_folder(arguments)
    chosen = value_in(arguments, group)
    of_run = choices_of_run(run).get(group) if run is not None else None
    names = ", ".join(choices)
    if run is not None and of_run is not None and chosen in (None, of_run) and group not in FREE_GROUPS:
        if f"{group}={of_run}" in choices:
            return f"{key}: belongs to {names}; the run in {run} has {group}={of_run}: add {group}={of_run}"
        return f"{key}: belongs to {names}, but the run in {run} has {group}={of_run}; leave it out"
    now = f"{group}={current_choice(arguments, group)}"
    if now in choices:  # a mapping, whose keys are not fixed
        return f"{key}: has other keys already; to add one give +{key}.KEY=VALUE"
    return f"{key}: not a key of {now}; it belongs to {names}: choose {'it' if len(choices) == 1 else 'one of them'}"


def groups_of_run(arguments: Sequence[str]) -> list[str]:
    """Overrides such as ``data=imagenet``: the choices of the run that ``run=FOLDER`` names, for groups whose keys the
    command gives without choosing the group; and that run's ``data.path``, where these data need one that the command
    does not name."""
    run = value_in(arguments, "run")
    if run is None or value_in(arguments, "experiment") is not None:
        return []
    found = []
    for group in RUN_GROUPS:
        gives_keys = any(argument.startswith(f"{group}.") for argument in arguments)
        choice = choices_of_run(Path(run)).get(group)
        if gives_keys and choice is not None and value_in(arguments, group) is None:
            found += [f"{group}={choice}"] if (config_folder() / group / f"{choice}.yaml").is_file() else []
    return found + _path_of_run(Path(run), [*arguments, *found])


def _path_of_run(run: Path, arguments: Sequence[str]) -> list[str]:
    """``["data.path='FOLDER'"]`` as the run recorded it; empty where the arguments name one or choose other data."""
    choice = value_in(arguments, "data")
    given = any(argument.lstrip("+").startswith("data.path=") for argument in arguments)
    if given or choice is None or not same_data(choice, choices_of_run(run).get("data")):
        return []
    for folder in (run, run.parent):
        recorded = read_yaml(folder / CONFIG)
        data = recorded.get("data") if isinstance(recorded, dict) else None
        path = data.get("path") if isinstance(data, dict) else None
        if isinstance(path, str) and path != MUST_BE_GIVEN:
            argument = hydra_argument("data.path", path)
            return [] if argument is None else [argument]
    return []


def current_choice(arguments: Sequence[str], group: str) -> str | None:
    """The choice of a group that a command ends with: its own, that of its experiment or its data, or the default."""
    if (own := value_in(arguments, group)) is not None:
        return own
    experiment = value_in(arguments, "experiment")
    files = [] if experiment is None else [("experiment", experiment)]
    if group == "train":
        files.append(("data", current_choice(arguments, "data") or ""))
    for folder, name in files:
        found = read_yaml(config_folder() / folder / f"{name}.yaml")
        for one in found.get("defaults", []) if isinstance(found, dict) else []:
            if isinstance(one, dict) and isinstance(choice := one.get(f"override /{group}"), str):
                return choice
    return _default(group)


def value_in(arguments: Sequence[str], key: str) -> str | None:
    """The text that the arguments give a key, the last one if there are several."""
    for argument in reversed(arguments):
        if argument.lstrip("+").startswith(f"{key}="):
            try:
                value = OverridesParser.create().parse_override(argument).value()
            except HydraException:
                return None
            return value if isinstance(value, str) else None
    return None


def values_in(arguments: Sequence[str], key: str) -> list[str]:
    """The texts that the arguments give a key: one, or several in a sweep."""
    if (value := value_in(arguments, key)) is not None:
        return [value]
    for argument in reversed(arguments):
        if argument.startswith(f"{key}="):
            try:
                swept = OverridesParser.create().parse_override(argument).value()
            except HydraException:
                return []
            return [str(one) for one in swept.list] if isinstance(swept, ChoiceSweep) else []
    return []


def _run_folder(arguments: Sequence[str]) -> Path | None:
    """The run that the arguments read or continue."""
    folder = value_in(arguments, "run") or value_in(arguments, "resume")
    if folder is None and "resume=true" in arguments:
        folder = value_in(arguments, "hydra.run.dir")
    return None if folder is None else Path(folder).expanduser()


def choices_of_run(run: Path) -> Mapping[str, str]:
    """The group choices of a run or a sweep, by group; empty if it left none."""
    for file in (run / CHOICES, run.parent / CHOICES, run / SWEEP_FILE):
        found = read_yaml(file)
        choices = found.get("hydra", {}).get("runtime", {}).get("choices", {}) if isinstance(found, dict) else {}
        if choices:
            return {group: choice for group, choice in choices.items() if isinstance(choice, str)}
    return {}


def _default(group: str) -> str | None:
    found = read_yaml(config_folder() / "config.yaml")
    defaults = found.get("defaults", []) if isinstance(found, dict) else []
    return next((one[group] for one in defaults if isinstance(one, dict) and group in one), None)


@cache
def _keys(file: Path, group: str) -> frozenset[str]:
    """The dotted keys that a file of a group brings, with those of the files in its defaults list."""
    found = read_yaml(file)
    if not isinstance(found, dict):
        return frozenset()
    keys = set(_flat(found.get(group, {}) if _is_global(file) else found, ""))
    for name in found.get("defaults", []):
        if isinstance(name, str) and name != "_self_":
            keys |= _keys(file.with_name(f"{name}.yaml"), group)
    return frozenset(keys)


def _is_global(file: Path) -> bool:
    return "# @package _global_" in file.read_text(encoding="utf-8")


def _flat(values: Any, prefix: str) -> list[str]:
    if not isinstance(values, dict):
        return []
    return [
        key
        for name, value in values.items()
        for key in (f"{prefix}{name}", *_flat(value, f"{prefix}{name}."))
        if name != "defaults" or prefix
    ]
