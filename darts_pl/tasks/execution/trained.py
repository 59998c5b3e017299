"""A trained final network, found by `run=FOLDER` or by `checkpoint=FILE genotype=NAME`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from torch import nn

from darts_pl.config import Config, parse_config
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.problems import Problem, problem_that_gives
from darts_pl.records import RunFolder, read_configuration
from darts_pl.records.folder import read_genotype
from darts_pl.records.run_identity import same_data
from darts_pl.spaces import space_of
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.retrain import find_genotype


@dataclass(frozen=True)
class Trained:
    """A trained network and where it comes from.

    Args:
        network: in evaluation mode, on the CPU.
        genotype: what it was built from.
        checkpoint: the file with its weights.
        config: that of the command, with data, `train` and precision of the run where the command names none.
        problem: what such networks are trained for.
        summary: of the run that trained it; empty for a bare checkpoint.
    """

    network: nn.Module
    genotype: Genotype
    checkpoint: Path
    config: Config
    problem: type[Problem]
    summary: Mapping[str, Any]


def find_trained(context: Context) -> Trained:
    """The network that the command names. Its sizes are read from the checkpoint.

    Raises:
        UserError: if there is none, the command would write into its folder, or the checkpoint does
            not belong to the genotype.
    """
    config = context.config
    folder = None if config.run is None else _finished_training(Path(config.run))
    if config.checkpoint is None and folder is None:
        raise UserError("run is missing; give run=FOLDER of a finished training, or checkpoint=FILE genotype=NAME")
    if folder is not None and context.folder.path.resolve() in (
        folder.path.resolve(),
        Path(config.run or "").resolve(),
    ):
        raise UserError(
            f"hydra.run.dir={context.folder.path}: is the folder of run={config.run}, which must not be overwritten; "
            "choose another"
        )
    if folder is not None:
        config = _as_trained(folder, context)
    if config.genotype is None and folder is not None:
        genotype = read_genotype(folder.path)
    else:
        genotype = find_genotype(config.genotype)
    checkpoint = Path(config.checkpoint) if config.checkpoint is not None else _checkpoint_of(folder)
    summary = {} if folder is None or config.checkpoint is not None else _summary_of(folder)
    dtype = torch.float64 if config.hardware.precision.startswith("64") else torch.float32
    problem = problem_that_gives(space_of(genotype.kind).data)
    return Trained(problem.load_network(checkpoint, genotype, dtype), genotype, checkpoint, config, problem, summary)


def _finished_training(path: Path) -> RunFolder:
    """The folder of a finished training at `path`, or inside that of task=search_and_retrain."""
    if not path.is_dir():
        raise UserError(f"run={path}: there is no such folder")
    for folder in (RunFolder(path / "retrain"), RunFolder(path)):
        if folder.genotype.is_file() and folder.checkpoint.is_file() and _summary_of(folder).get("task") == "retrain":
            return folder
    raise UserError(f"run={path}: not the folder of a finished training (task=retrain or search_and_retrain)")


def _checkpoint_of(folder: RunFolder | None) -> Path:
    assert folder is not None
    return folder.checkpoint


def _summary_of(folder: RunFolder) -> Mapping[str, Any]:
    try:
        found = json.loads((folder.path / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _as_trained(folder: RunFolder, context: Context) -> Config:
    """The command's configuration with the run's data, `train` and precision, unless the command names others.

    Single values that the command gives, such as ``data.path``, hold in either case.
    """
    given = HydraConfig.get().overrides.task
    found = read_configuration(folder.path, "data", "train", "hardware")
    if found is None or any(override.startswith("experiment=") for override in given):
        return context.config
    run, settings = OmegaConf.create(found), OmegaConf.create(dict(context.resolved))
    if not any(override.startswith("hardware.precision=") for override in given):
        settings.hardware.precision = run.hardware.precision
    named = [override.removeprefix("data=") for override in given if override.startswith("data=")]
    if all(same_data(name, run.data.get("name")) for name in named):
        for override in given:
            key, _, _ = override.partition("=")
            if key.startswith(("data.", "train.")):
                OmegaConf.update(run, key, OmegaConf.select(settings, key))
        settings.data, settings.train = run.data, run.train
    return parse_config(settings)
