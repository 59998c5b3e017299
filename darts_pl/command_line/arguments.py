"""Arguments that name paths: `~`, names that look like numbers, and names that Hydra's grammar cannot read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write

from darts_pl.command_line.experiments import with_fitting_experiment
from darts_pl.command_line.group_files import groups_of_run
from darts_pl.command_line.presets import preset_for
from darts_pl.command_line.run_settings import (
    overrides_of_continued,
    rule_of_searched,
    settings_of_searched,
    with_best_of_sweep,
)
from darts_pl.quoting import hydra_argument, quoted_assignment

#: Keys whose values are paths, or may be.
PATH_KEYS = (
    *("data.path", "evaluator.run", "genotype", "run", "runs", "resume", "checkpoint", "input"),
    *("hydra.run.dir", "hydra.sweep.dir", "task.folder"),
)
#: Options of Hydra whose values are paths.
PATH_OPTIONS = ("--config-dir", "-cd", "--config-path", "-cp")
MULTIRUN = ("-m", "--multirun")

#: An operation in the text of a cell of NAS-Bench-201.
_OPERATION = re.compile(r"\|\s*\w+\s*~\s*\d")
_HOME = re.compile(r"(?:(?<=^)|(?<=[\[,]))~[^/,\]]*(?=[/,\]]|$)")


def prepared(arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra is given them.

    In the values of `PATH_KEYS` a leading ``~`` becomes the home folder, and a name that Hydra would read as a number
    or a truth value is quoted. So is the text of a genotype, outside a sweep. ``run=FOLDER`` brings the group choices
    of that run, where the command gives keys of these groups and does not choose them, and ``task=derive run=FOLDER``
    its selection rule, where the command chooses none. ``resume=FOLDER`` brings all settings of that run, and
    ``task=retrain genotype=RUN`` its data, sizes and precision, where the command does not give them. Small data bring
    a preset. An experiment gives way to its form for the space that the command searches.

    Raises:
        UserError: for ``genotype=SWEEP`` of a sweep from which none can be chosen, and for a derivation from several
            searches whose selection rules differ.
    """
    flags = [argument for argument in arguments if argument in MULTIRUN]
    quoted = arguments if flags else map(_quote_genotype, arguments)
    result = [_prepared(argument) for argument in quoted if argument not in MULTIRUN]
    result = with_fitting_experiment(result)
    if not flags:
        result = [*overrides_of_continued(result), *result]
    result = with_best_of_sweep(result)
    for settings in (settings_of_searched, groups_of_run, rule_of_searched, preset_for):
        result = _with(result, settings([one for one in result if "=" in one or one.startswith("~")]))
    return [*flags, *result]


def _with(arguments: list[str], more: Sequence[str]) -> list[str]:
    """The arguments with more behind the last override: Hydra reads none behind an option that follows overrides."""
    overrides = [index for index, one in enumerate(arguments) if "=" in one and not one.startswith("-")]
    place = overrides[-1] + 1 if overrides else 0
    return [*arguments[:place], *more, *arguments[place:]]


def expand_paths(config: DictConfig) -> None:
    """Replace a leading ``~`` in the path values of a composed configuration, in place."""
    with read_write(config), open_dict(config):
        for key in PATH_KEYS:
            if key.startswith("hydra."):
                continue
            value: Any = None if _is_missing(config, key) else OmegaConf.select(config, key)
            if isinstance(value, str) and value.startswith("~"):
                OmegaConf.update(config, key, os.path.expanduser(value))
            elif isinstance(value, ListConfig):
                expanded = [os.path.expanduser(one) if isinstance(one, str) else one for one in value]
                OmegaConf.update(config, key, expanded)


def explain_argument(arguments: Sequence[str]) -> str | None:
    """The first argument that Hydra's grammar cannot read, with the quoted form that works; None if it reads all.

    The form is ready to be pasted into a shell.
    """
    multirun = any(argument in MULTIRUN for argument in arguments)
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if argument.startswith("-") or not equals:
            continue
        try:
            parsed = OverridesParser.create().parse_override(argument)
            if not parsed.is_sweep_override() or multirun or key not in PATH_KEYS:
                continue
            reason = "has a comma, which separates the values of a sweep"
        except HydraException:
            reason = "has characters that need quotes"
        if value.startswith(("[", "{")) and key.lstrip("+") not in PATH_KEYS:
            return f"{argument}: a list is written as {key}=[a,b], its texts with such characters in quotes"
        if (quoted := quoted_assignment(key, value)) is not None:
            return f"{key}={value} {reason}: write {quoted}"
    return None


def _quote_genotype(argument: str) -> str:
    """``genotype=TEXT`` in the quotes that Hydra's grammar needs, where it cannot read the text of a genotype."""
    key, _, value = argument.partition("=")
    if key.lstrip("+") != "genotype":
        return argument
    text = value.strip()
    if not ("Genotype(" in text or text.lstrip("'\"").startswith("{") or _OPERATION.search(text)):
        return argument
    try:
        if not OverridesParser.create().parse_override(argument).is_sweep_override():
            return argument
    except HydraException:
        pass
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return hydra_argument(key, text) or argument


def _prepared(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if not equals:
        return argument
    if key in PATH_OPTIONS:
        return f"{key}={os.path.expanduser(value)}"
    if key.lstrip("+") not in PATH_KEYS:
        return argument
    value = _HOME.sub(lambda found: os.path.expanduser(found[0]), value)
    try:
        parsed = OverridesParser.create().parse_override(f"{key}={value}")
    except HydraException:
        quoted = hydra_argument(key, value) if key == "input" else None  # the name of a photo may be any text
        return quoted or f"{key}={value}"
    if parsed.is_sweep_override():
        return f"{key}={value}"
    read = parsed.value()
    looks_otherwise = isinstance(read, (int, float)) and not (isinstance(read, bool) and key.lstrip("+") == "resume")
    return f"{key}='{value.strip()}'" if looks_otherwise else f"{key}={value}"


def _is_missing(config: DictConfig, key: str) -> bool:
    parent, _, name = key.rpartition(".")
    node: Any = OmegaConf.select(config, parent) if parent else config
    return node is None or OmegaConf.is_missing(node, name)
