"""The commands that come next after a run, with its real folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from darts_pl.config import Config
from darts_pl.data.loaders import LOADERS
from darts_pl.genotype import parse
from darts_pl.quoting import assignment
from darts_pl.records.configuration import CHOICES, CONFIG, read_configuration, read_yaml
from darts_pl.records.folder import Summary
from darts_pl.run_folder import shown
from darts_pl.runs.data_identity import read_data_identity
from darts_pl.selection import RULES, criterion_of
from darts_pl.spaces import SPACES, Space, space_of
from darts_pl.tasks.declarations.registry import TASKS
from darts_pl.tasks.execution.context import Context

#: What a command is for, and the command.
Command = tuple[str, str]


def next_commands(context: Context, summary: Summary) -> list[Command]:
    """Two or three commands for after a run; none after tasks that leave nothing to go on with."""
    make = (_AFTER_LOADERS if context.config.data.name == LOADERS else _AFTER).get(context.config.task.name)
    found = [] if make is None else list(make(context, summary))
    return [*found, *_uploads(context.folder.path)]


def program() -> str:
    """How this program was called."""
    name = Path(sys.argv[0]).name
    return "darts-pl" if name in ("darts-pl", "darts-pl.exe") else "python run.py"


def _command(*arguments: str) -> str:
    return " ".join([program(), *arguments])


def _after_search(context: Context, summary: Summary) -> Iterator[Command]:
    yield from _after_genotype(context, summary)
    if "perturbation" in RULES and context.config.select.name != "perturbation":
        folder, space = shown(context.folder.path), SPACES.get(context.config.search.space)
        yield "another cell from this search", _command(*perturbation_of(folder, space))


def perturbation_of(run: str, space: Space) -> list[str]:
    """The arguments that derive another cell from a search.

    Args:
        run: folder of the search.
        space: of the search.
    """
    criterion = criterion_of(space)
    changed = [] if criterion == "accuracy" else [f"select.criterion={criterion}"]
    return ["task=derive", assignment("run", run), "select=perturbation", *changed]


def _after_genotype(context: Context, summary: Summary) -> Iterator[Command]:
    if not isinstance(summary.get("genotype"), str):
        return
    genotype = parse(str(summary["genotype"]))
    space = space_of(genotype.kind)
    if space.training is not None:
        yield "train this cell from scratch", _command(*_retrain(context))
    if space.table is not None and space.table.covers(genotype):
        found = assignment("genotype", shown(context.folder.path))
        yield "what the table knows of this cell", _command("task=lookup", found)


def _after_training(context: Context, summary: Summary) -> Iterator[Command]:
    run = assignment("run", shown(context.folder.path))
    if "predict" in TASKS:
        example = "FILE.txt" if context.config.data.holds == "text" else "PHOTO"
        yield "ask the network something", _command("task=predict", run, f"input={example}")
    yield "score the network again", _command("task=test", run)
    yield "one file that runs without this program", _command("task=export", run, "format=pt2")


def _search_of_loaders(context: Context, summary: Summary) -> Iterator[Command]:
    folder = shown(context.folder.path)
    yield "train this cell from scratch", f"darts_pl.train((train_loader, test_loader), {folder!r})"


def _training_of_loaders(context: Context, summary: Summary) -> Iterator[Command]:
    folder = shown(context.folder.path)
    load = f"darts_pl.load({folder!r}, mean=[...], std=[...])"
    yield "ask the network something; mean and standard deviation are those of your loaders", f"{load}.predict(images)"


def _after_protocol(context: Context, summary: Summary) -> Iterator[Command]:
    if context.folder.genotype.is_file():  # not before all stages are finished
        yield from _after_genotype(context, summary)
    folder = context.config.task.folder
    searches = (context.folder.path if folder is None else Path(folder).expanduser()) / "searches"
    yield "one table of the searches", _command("task=collect", assignment("runs", shown(searches)))


_AFTER: Mapping[str, Callable[[Context, Summary], Iterator[Command]]] = {
    "search": _after_search,
    "derive": _after_genotype,
    "random": _after_genotype,
    "strategy": _after_genotype,
    "retrain": _after_training,
    "search_and_retrain": _after_training,
    "protocol": _after_protocol,
}

#: After dataloaders, which no command can read; these are lines of Python.
_AFTER_LOADERS: Mapping[str, Callable[[Context, Summary], Iterator[Command]]] = {
    "search": _search_of_loaders,
    "retrain": _training_of_loaders,
}


def _retrain(context: Context) -> list[str]:
    """The arguments of a training of the genotype in the folder, on the data of the run."""
    folder = assignment("genotype", shown(context.folder.path))
    run = context.config.run
    data = _data(context.config) if run is None else _data_of_run(Path(run))
    return ["task=retrain", folder, *data, *_fitting(context)]


def _data_of_run(run: Path) -> list[str]:
    """What chose the data of a run that the command reads; nothing where it left no configuration."""
    try:
        choice = read_yaml(run / CHOICES)["hydra"]["runtime"]["choices"]["data"]
        path = (read_yaml(run / CONFIG) or {}).get("data", {}).get("path")
    except (KeyError, TypeError):
        return []
    return [f"data={choice}", *([assignment("data.path", path)] if path else [])]


def _data(config: Config) -> list[str]:
    """What chooses the data: the group, the path, and what else the command says of them."""
    hydra = HydraConfig.get()
    arguments = [f"data={hydra.runtime.choices.get('data')}"]
    if config.data.path is not None:
        arguments.append(assignment("data.path", config.data.path))
    for override in hydra.overrides.task:
        key, _, value = override.lstrip("+").partition("=")
        if (key.startswith("data.") and key != "data.path") or key == "imports":
            arguments.append(assignment(key, value))
    return arguments


def _fitting(context: Context) -> Iterator[str]:
    """Values of `train` that the data need where the default would be refused."""
    identity, (train, data) = _identity(context), _recipe(context)
    side = min(identity.get("height", 0), identity.get("width", 0))
    if side and train.get("cutout", 0) >= side:
        yield f"train.cutout={side // 2}"
    count = identity.get("train", {}).get("count", 0)
    if identity.get("kind") != "text" and 0 < count < train["batch_size"] and data["batch_size"] is None:
        yield f"train.batch_size={max(count // 4, 2)}"


def _recipe(context: Context) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The settings `train` and `data` of a training that the command leads to: those of the run that it reads, unless
    it chooses a recipe itself."""
    config = context.config
    chosen = any(override.startswith("train=") for override in HydraConfig.get().overrides.task)
    recorded = None if config.run is None or chosen else read_configuration(Path(config.run), "train", "data")
    if recorded is None:
        return vars(config.train), vars(config.data)
    return recorded["train"], recorded["data"]


def _identity(context: Context) -> Mapping[str, Any]:
    run = context.config.run
    folders = [context.folder.path, *([Path(run), Path(run) / "search"] if run is not None else [])]
    return next(filter(None, map(read_data_identity, folders)), {})


def _uploads(folder: Path) -> Iterator[Command]:
    """How to upload what W&B kept offline."""
    for place in (folder, *sorted(path for path in folder.glob("*") if path.is_dir())):
        if next(place.glob("wandb/offline-run-*"), None) is not None:
            yield "upload to W&B what was kept offline", f"wandb sync {shown(place)}/wandb/offline-run-*"
