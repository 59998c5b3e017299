"""A trained final network, found by `run=FOLDER` or by `checkpoint=FILE genotype=NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from torch import nn

from darts_pl import interop
from darts_pl.config import Config, parse_config
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.inference import finished_training, stored_description
from darts_pl.problems import Problem, problem_that_gives
from darts_pl.records import NetworkDescription, RunFolder, read_configuration, read_description, read_summary
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
        stored: what is stored with the network about what it is and reads; None where nothing is.
        folder: of the run that trained it; None for a bare checkpoint.
    """

    network: nn.Module
    genotype: Genotype
    checkpoint: Path
    config: Config
    problem: type[Problem]
    summary: Mapping[str, Any]
    stored: NetworkDescription | None = None
    folder: RunFolder | None = None


def find_trained(context: Context) -> Trained:
    """The network that the command names. Its sizes are read from the checkpoint.

    Raises:
        UserError: if there is none, the command would write into its folder, or the checkpoint does
            not belong to the genotype.
    """
    config = context.config
    folder = None if config.run is None else finished_training(Path(config.run))
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
    if config.checkpoint is not None:
        checkpoint, of_run = Path(config.checkpoint), None
    else:
        assert folder is not None
        checkpoint, of_run = folder.checkpoint, folder
    stored = _stored(checkpoint, of_run)
    if config.genotype is not None:
        genotype = find_genotype(config.genotype)
    elif folder is not None:
        genotype = read_genotype(folder.path)
    else:
        genotype = find_genotype(None) if stored is None else stored.genotype
    dtype = torch.float64 if config.hardware.precision.startswith("64") else torch.float32
    problem = problem_that_gives(space_of(genotype.kind).data)
    network = problem.load_network(checkpoint, genotype, dtype)
    if stored is not None and stored.genotype != genotype:
        stored = None  # a description of another network
    summary = {} if of_run is None else read_summary(of_run.path) or {}
    return Trained(network, genotype, checkpoint, config, problem, summary, stored, of_run)


def _stored(checkpoint: Path, folder: RunFolder | None) -> NetworkDescription | None:
    """What the checkpoint, or else the folder of its run, says about the network."""
    found = stored_description(interop.read(checkpoint), checkpoint) if checkpoint.is_file() else None
    return read_description(folder.path) if found is None and folder is not None else found


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
