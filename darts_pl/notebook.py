"""A search and a training in one call each, for notebooks and scripts.

Both do what the commands do, with the same defaults, presets, checks and files in a run's folder; `task=test`,
`task=export` and the other commands read that folder.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from darts_pl import atomic, plugins, run_folder
from darts_pl.command_line import config_folder, expand_paths, prepared, user_message
from darts_pl.command_line.presets import Amount
from darts_pl.config import parse_config
from darts_pl.data.identity import checksum
from darts_pl.data.loaders import hand_over, loader_pair
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.problems import open_problem
from darts_pl.quoting import hydra_argument
from darts_pl.records import RunFolder
from darts_pl.records.configuration import CHOICES, CONFIG, OVERRIDES
from darts_pl.records.folder import Summary
from darts_pl.run_folder import ClaimRunFolder, Refused
from darts_pl.spaces import Supernet
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.run import print_preset, run_and_show
from darts_pl.tasks.retrain import train_as_told
from darts_pl.tasks.search import find

#: What is searched or trained on: a folder of photos, an .npz file or a text; arrays (x, y) or (x, y, x_test, y_test);
#: a pair of dataloaders.
Data = str | Path | Sequence[Any]


@dataclass(frozen=True)
class Searched:
    """What `search` found.

    Args:
        genotype: of the cells.
        history: one row per epoch, as in metrics.csv.
        alphas: by cell type [epochs + 1, edges, candidates], before the search and after every epoch.
        supernet: with its trained weights, in evaluation mode, on the CPU.
        summary: the results by name.
        folder: of the run.
    """

    genotype: Genotype
    history: list[dict[str, float]]
    alphas: dict[str, np.ndarray]
    supernet: Supernet
    summary: Summary
    folder: Path


@dataclass(frozen=True)
class Trained:
    """What `train` trained.

    Args:
        genotype: of the network.
        history: one row per epoch, as in metrics.csv.
        network: the final network in evaluation mode, on the CPU.
        summary: the results by name, among them "test/accuracy" or "test/perplexity".
        folder: of the run.
    """

    genotype: Genotype
    history: list[dict[str, float]]
    network: nn.Module
    summary: Summary
    folder: Path


#: What a call returns.
Result = TypeVar("Result", Searched, Trained)


def search(data: Data, *settings: str, folder: str | Path | None = None) -> Searched:
    """Search for a cell, as ``task=search`` does.

    Example::

        found = darts_pl.search("photos")                              # a folder with one folder per class
        found = darts_pl.search((x, y), "search.epochs=20")            # arrays [N, H, W, C] or [N, H, W], and [N]
        found = darts_pl.search((train_loader, valid_loader))          # the first trains weights, the second alphas

    Args:
        data: a folder of photos, an .npz file or a text; arrays ``(x, y)`` or ``(x, y, x_test, y_test)``, uint8 or
            floats in [0, 1]; a pair of dataloaders of batches ``(x [B, C, H, W], y [B])``.
        settings: as on a command line, such as "order=first"; docs/configuration.md has all.
        folder: of the run; None = a new one in ``outputs/search/``.

    Raises:
        UserError: if the data or a setting cannot be used; its message says what to write instead.
    """
    command = ["task=search", *_data_settings(data, settings), *settings]

    def run(context: Context) -> Searched:
        found = find(context)
        folder = context.folder
        with np.load(folder.path / "alphas.npz") as stored:
            alphas = {name: stored[name] for name in stored.files}
        supernet = found.supernet.cpu().eval()
        return Searched(found.genotype, _history(folder), alphas, supernet, found.summary, folder.path)

    return _run(command, folder, run)


def train(
    data: Data, genotype: Genotype | Searched | str | Path, *settings: str, folder: str | Path | None = None
) -> Trained:
    """Train the final network of a genotype from scratch and score it once, as ``task=retrain`` does.

    Args:
        data: as for `search`. Of a pair of dataloaders the first trains and the second is the test split.
        genotype: one, what `search` returned, the folder of a run, or a published name such as "darts_v2".
        settings: as on a command line, such as "train.epochs=20".
        folder: of the run; None = a new one in ``outputs/retrain/``.

    Raises:
        UserError: as for `search`, or if data and genotype do not fit each other.
    """
    if isinstance(genotype, Searched):
        genotype = genotype.genotype
    text = str(genotype)
    argument = hydra_argument("genotype", text)
    if argument is None:
        raise UserError(f"genotype={text}: cannot be written on a command line; give its folder or a Genotype")
    command = ["task=retrain", argument, *_data_settings(data, settings), *settings]

    def run(context: Context) -> Trained:
        done, folder = train_as_told(context), context.folder
        dtype = torch.float64 if done.config.hardware.precision.startswith("64") else torch.float32
        network = open_problem(done.config).load_network(folder.checkpoint, done.genotype, dtype)
        return Trained(done.genotype, _history(folder), network, done.summary, folder.path)

    return _run(command, folder, run)


def _run(arguments: Sequence[str], folder: str | Path | None, function: Callable[[Context], Result]) -> Result:
    """What a function returns for the context of a command, in a claimed folder with Hydra's files; prints and writes
    at the end what a command does."""
    run_folder.register_resolver()
    plugins.load_plugins()
    with _composed(prepared(arguments), folder) as composed:
        hydra = HydraConfig.get()
        config = OmegaConf.create({name: value for name, value in composed.items() if name != "hydra"})
        plugins.import_modules(plugins.modules_of(config.imports))
        expand_paths(config)
        typed = parse_config(config)
        place = Path(hydra.runtime.output_dir)
        _write(place / CONFIG, config)
        _write(place / CHOICES, OmegaConf.create({"hydra": hydra}))
        _write(place / OVERRIDES, hydra.overrides.task)
        resolved: Any = OmegaConf.to_container(config, resolve=True)
        print_preset(typed)
        results: list[Result] = []

        def task(context: Context) -> Summary:
            results.append(function(context))
            return results[0].summary

        run_and_show(Context(typed, resolved, RunFolder(place)), task)
        return results[0]


@contextmanager
def _composed(arguments: list[str], folder: str | Path | None) -> Iterator[DictConfig]:
    """The composed configuration, with Hydra's own part and a claimed folder."""
    before, hydra_before = HydraConfig.instance().cfg, GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        composed = _compose(arguments)
        if folder is None:
            run_folder.set_hydra(composed, "run.dir", str(_new_folder(composed.hydra.runtime.choices["task"])))
        else:
            run_folder.set_hydra(composed, "run.dir", str(folder))
            with open_dict(composed.hydra):
                composed.hydra.overrides.hydra = [f"{run_folder.RUN_KEY}={folder}"]
        ClaimRunFolder().on_run_start(composed)
        run_folder.set_hydra(composed, "runtime.output_dir", str(Path(composed.hydra.run.dir).absolute()))
        HydraConfig.instance().set_config(composed)
        yield composed
    except Refused as refused:
        raise refused.error from None
    finally:
        run_folder.end_claim(refused=False)
        HydraConfig.instance().cfg = before
        GlobalHydra.instance().hydra = hydra_before


def _new_folder(task: str) -> Path:
    """The folder of a call that names none; several calls may begin within a second."""
    first = Path("outputs") / task / time.strftime("%Y-%m-%d_%H-%M-%S")
    names = (first if number == 1 else first.with_name(f"{first.name}_{number}") for number in count(1))
    return next(name for name in names if not name.exists())


def _compose(arguments: list[str]) -> DictConfig:
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
            return compose("config", overrides=arguments, return_hydra_config=True)
    except HydraException as error:
        raise UserError(user_message(error, arguments) or " ".join(str(error).split())) from None


def _write(file: Path, values: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(file, OmegaConf.to_yaml(OmegaConf.create(values)))


def _history(folder: RunFolder) -> list[dict[str, float]]:
    rows = csv.DictReader(folder.metrics.read_text(encoding="utf-8").splitlines())
    return [{name: float(value) for name, value in row.items() if value} for row in rows]


def _data_settings(data: Data, settings: Sequence[str]) -> list[str]:
    """The overrides that name the data; arrays are stored, and dataloaders kept."""
    if isinstance(data, (str, Path)):
        return _of_path(Path(data).expanduser(), settings)
    parts = list(data)
    if len(parts) in (2, 4) and all(hasattr(part, "shape") for part in parts):
        keys = ("x", "y") if len(parts) == 2 else ("x_train", "y_train", "x_test", "y_test")
        return ["data=npz", _path_argument(_stored(dict(zip(keys, map(np.asarray, parts), strict=True))))]
    if len(parts) == 2 and all(hasattr(part, "__iter__") for part in parts):
        return _of_loaders(parts[0], parts[1], settings)
    raise UserError(
        "data: give a folder, a file, arrays (x, y) or (x, y, x_test, y_test), or a pair of dataloaders; not "
        f"{type(data).__name__} of {len(parts)}"
    )


def _of_path(path: Path, settings: Sequence[str]) -> list[str]:
    if path.is_dir():
        return ["data=image_folder", _path_argument(path)]
    if not path.is_file():
        raise UserError(f"data: there is no file or folder {path}")
    if path.suffix == ".npz":
        return ["data=npz", _path_argument(path)]
    chosen = any(setting.startswith("search=") for setting in settings)
    return [*([] if chosen else ["search=rnn"]), "data=text", _path_argument(path)]


def _of_loaders(first: Any, second: Any, settings: Sequence[str]) -> list[str]:
    name = hand_over(first, second)
    pair = loader_pair(name)
    given = {setting.partition("=")[0] for setting in settings}
    preset = Amount(pair.images, pair.images, min(pair.shape[1:]), photos=False).preset
    result = ["data=loaders", f"data.path={name}", f"data.batch_size={pair.batch_size}"]
    if preset is not None and not given & {"preset", "experiment", "train"}:
        result.append(f"preset={preset}")
    return [*result, *([] if "train.cutout" in given else ["train.cutout=0"])]  # the loaders augment


def _stored(arrays: Mapping[str, Any]) -> Path:
    """A file of these arrays, where the run that continues or tests will find it."""
    folder = Path("outputs") / "arrays"
    folder.mkdir(parents=True, exist_ok=True)
    name = checksum(*(np.ascontiguousarray(array) for array in arrays.values()))
    file = folder / f"{name}.npz"
    if not file.is_file():
        atomic.write_with(file, lambda path: np.savez(path, **arrays))
    return file.absolute()


def _path_argument(path: Path) -> str:
    argument = hydra_argument("data.path", str(path))
    if argument is None:
        raise UserError(f"data.path={path}: has characters that a setting cannot hold; rename it")
    return argument
