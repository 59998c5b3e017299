"""What a command takes over from the run that it continues, or whose genotype it trains."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from darts_pl.command_line.group_files import choices_of_run, config_folder, value_in, values_in
from darts_pl.config.upgrade import flatten
from darts_pl.errors import UserError
from darts_pl.launcher_environment import is_first
from darts_pl.quoting import hydra_argument
from darts_pl.records.best import SWEEP_FILE, best_run
from darts_pl.records.configuration import CHOICES, CONFIG, OVERRIDES, read_configuration, read_yaml
from darts_pl.records.run_identity import same_data

#: What a training of a search's genotype takes over from the search: groups, then sections and values.
GROUPS, SECTIONS = ("search", "train", "data", "preset"), ("train", "data")
PRECISION = "hardware.precision"
#: What decides which selection rule a command applies.
RULE_GROUPS = ("select", "method", "experiment")
#: Keys that say how a command begins, and not what the run is.
OF_THE_COMMAND = ("resume", "overwrite")
#: Limits of a search without gradients, which may go on with others.
BUDGET = "budget."


def key_of(argument: str) -> str:
    """The key of an override, without signs."""
    return argument.lstrip("+~").partition("=")[0]


def choices_of_continued(arguments: Sequence[str]) -> Mapping[str, str] | None:
    """The group choices of the run or sweep that the arguments continue; None where they continue none."""
    folder = _continued(arguments)
    return None if folder is None else choices_of_run(folder) or None


def _continued(arguments: Sequence[str]) -> Path | None:
    """The folder of the run or sweep that the arguments continue."""
    folder = value_in(arguments, "resume")
    if folder is None and "resume=true" in [argument.lower() for argument in arguments]:
        folder = value_in(arguments, "hydra.run.dir") or value_in(arguments, "hydra.sweep.dir")
    return None if folder is None else Path(folder).expanduser()


def _recorded(folder: Path) -> list[str] | None:
    """The overrides that a run was begun with; None where it left none."""
    found = read_yaml(folder / OVERRIDES)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else None


def overrides_of_continued(arguments: Sequence[str]) -> list[str]:
    """The overrides that the run of ``resume=FOLDER`` was begun with, but for those that the command gives itself."""
    folder = value_in(arguments, "resume")
    found = None if folder is None else _recorded(Path(folder).expanduser())
    given = {*map(key_of, arguments), *OF_THE_COMMAND}
    if any(key.startswith(BUDGET) for key in given):  # a new budget replaces the whole of the former one
        found = [one for one in found or () if not key_of(one).startswith(BUDGET)]
    return [one for one in found or () if key_of(one) not in given]


def with_best_of_sweep(arguments: Sequence[str]) -> list[str]:
    """The arguments with the best run in place of a sweep in ``genotype=SWEEP``; a line says which.

    Raises:
        UserError: if the sweep has no run that can be chosen.
    """
    wanted = value_in(arguments, "genotype")
    folder = None if wanted is None else _folder(wanted)
    if folder is None or not (folder / SWEEP_FILE).is_file() or (folder / "genotype.json").is_file():
        return list(arguments)
    best = best_run(folder)
    if is_first():
        line = f"genotype={wanted}: the best of {best.runs} runs is {best.folder.name} ({best.score} {best.value:.4f})"
        print(line, file=sys.stderr, flush=True)
    argument = hydra_argument("genotype", str(best.folder))
    return [argument if argument and key_of(one) == "genotype" else one for one in arguments]


def settings_of_searched(arguments: Sequence[str]) -> list[str]:
    """Overrides that give ``task=retrain genotype=RUN`` the data, the sizes in `train` and the precision of that run.

    For a genotype that was derived from a search they are those of the search, and what the derivation chose itself.
    Empty where the command names an experiment or other data. What the command names is left out, and so is what a
    training that is continued did not take over.
    """
    wanted = value_in(arguments, "genotype")
    if wanted is None or value_in(arguments, "task") != "retrain" or value_in(arguments, "experiment") is not None:
        return []
    folder = _folder(wanted)
    read = None if folder is None else _read_by(folder)
    searched = read or folder
    choices = {} if searched is None else choices_of_run(searched)
    named = value_in(arguments, "data")
    if folder is None or searched is None or not choices:
        return []
    if named is not None and not same_data(named, choices.get("data")):
        return []
    given = set(map(key_of, arguments))
    own = [] if read is None else [one for one in _of_derivation(folder) if key_of(one) not in given]
    given.update(map(key_of, own))
    groups = [
        f"{group}={choices[group]}"
        for group in GROUPS
        if group in choices and group not in given and _has_file(group, choices[group])
    ]
    replaced = tuple(f"{key_of(one)}." for one in own if key_of(one) in SECTIONS)  # of which no value is the search's
    different = _different_values(searched, [*arguments, *own, *groups], GROUPS, SECTIONS, PRECISION)
    values = [one for one in different if key_of(one) not in given and not key_of(one).startswith(replaced)]
    continued = _continued(arguments)
    recorded = None if continued is None else _recorded(continued)
    return [one for one in (*own, *groups, *values) if recorded is None or one in recorded]


def _read_by(folder: Path) -> Path | None:
    """The search that a derivation in the folder read; None where it is none, or the search is gone."""
    found = read_yaml(folder / CONFIG)
    run = found.get("run") if isinstance(found, dict) else None
    if not isinstance(run, str):
        return None
    began = read_yaml(folder / CHOICES) or {}
    path = Path(began["hydra"]["runtime"]["cwd"], Path(run).expanduser()) if "hydra" in began else Path(run)
    return path if choices_of_run(path) else None


def _of_derivation(folder: Path) -> list[str]:
    """What a derivation said of data and training itself."""
    prefixes = tuple(f"{section}." for section in SECTIONS)
    return [one for one in _recorded(folder) or () if key_of(one) in SECTIONS or key_of(one).startswith(prefixes)]


def rule_of_searched(arguments: Sequence[str]) -> list[str]:
    """Overrides that give ``task=derive run=SEARCH`` the selection rule of that search and its settings.

    Empty where the command chooses a rule itself, or a method or an experiment, which choose one.

    Raises:
        UserError: for several searches whose rules differ.
    """
    if value_in(arguments, "task") != "derive" or any(key_of(one) in RULE_GROUPS for one in arguments):
        return []
    given = set(map(key_of, arguments))
    rules = {run: _rule_of(Path(run).expanduser()) for run in values_in(arguments, "run")}
    if len(set(map(tuple, rules.values()))) > 1:
        found = ", ".join(" ".join([run, *rule]) for run, rule in rules.items())
        raise UserError(f"the searches have different selection rules ({found}); choose one with select=NAME")
    return [one for rule in [*rules.values()][:1] for one in rule if key_of(one) not in given]


def _rule_of(run: Path) -> list[str]:
    """``select=NAME`` and the settings of the rule that differ from those of its file; empty if the run left none."""
    choice = choices_of_run(run).get("select")
    rule = [] if choice is None else [f"select={choice}"]
    return [*rule, *(_different_values(run, rule, ("select",), ("select",)) if rule else ())]


def _folder(wanted: str) -> Path | None:
    """The folder that a value of `genotype` names, or in which the file lies that it names."""
    try:
        path = Path(wanted).expanduser()
        return path if path.is_dir() else path.parent if path.is_file() and path.name == "genotype.json" else None
    except OSError:  # the text of a genotype
        return None


def _different_values(
    folder: Path, arguments: Sequence[str], groups: Sequence[str], sections: Sequence[str], *more: str
) -> Iterator[str]:
    """The values of a run that differ from what the group choices give.

    Args:
        folder: of the run.
        arguments: with the choices.
        groups: whose choices count.
        sections: that are compared.
        more: dotted keys that are compared too.
    """
    try:
        parents = [key.partition(".")[0] for key in more]
        run = flatten(read_configuration(folder, *sections, *parents) or {})
        choices = [one for one in arguments if key_of(one) in groups]
        with initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
            composed = compose("config", overrides=choices)
            now: dict[str, Any] = {}
            for section in sections:
                now |= flatten({section: OmegaConf.to_container(composed[section], resolve=False)})
            for key in (*now, *more):
                now[key] = None if OmegaConf.is_missing(composed, key) else OmegaConf.select(composed, key)
    except (UserError, HydraException, OmegaConfBaseException):
        return
    for key, value in run.items():
        plain = OmegaConf.to_container(now[key]) if OmegaConf.is_config(now.get(key)) else now.get(key)
        if key in now and value != plain:
            yield _argument(key, value)


def _argument(key: str, value: Any) -> str:
    if isinstance(value, str):
        return hydra_argument(key, value) or f"{key}={value}"
    return f"{key}={json.dumps(value)}"


def _has_file(group: str, choice: str) -> bool:
    return (config_folder() / group / f"{choice}.yaml").is_file()
