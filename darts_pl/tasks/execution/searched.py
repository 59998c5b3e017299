"""A finished search, found by `run=FOLDER`: its supernet, and batches of its valid split to score it on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from pytorch_lightning.utilities import move_data_to_device

from darts_pl import interop
from darts_pl.config import Config, parse_config
from darts_pl.errors import UserError
from darts_pl.modules import SearchModule
from darts_pl.problems import Ended, Problem, build_search, open_problem
from darts_pl.records import CONFIG, RunFolder, read_configuration
from darts_pl.runs.data_identity import refuse_other_data
from darts_pl.runs.hardware import device_of_hardware
from darts_pl.selection import Start, Trials
from darts_pl.tasks.execution.context import Context

#: Folder of the training of shared weights inside that of task=strategy.
SHARED_WEIGHTS = "shared_weights"


@dataclass(frozen=True)
class Searched:
    """A finished search.

    Args:
        module: with the trained supernet.
        config: of the run; single values of the data and the hardware that the command gives replace those of the
            run, and `hardware=NAME` replaces all of its hardware but the precision, which belongs to the search.
        problem: the data.
        batches: those of the valid split, unaugmented, as `search.valid_statistics` says.
        checksum: of the checkpoint file, SHA-256.
        ended: what a selection rule may score and train.
    """

    module: SearchModule
    config: Config
    problem: Problem
    batches: Callable[[], Iterable[Any]]
    checksum: str
    ended: Ended

    def trials(self, journal: Path | None = None) -> Trials:
        """What scores the supernet; see `Trials`."""
        return Trials(self.module.supernet, self.batches, self.problem.count, journal=journal, seed=self.config.seed)


def find_searched(context: Context, *, paths: bool = False) -> Searched:
    """The search that `run=` names.

    Args:
        context: of the command.
        paths: whether it may be a search without gradients whose shared weights were trained by single paths; its
            architecture parameters mean nothing.

    Raises:
        UserError: if there is none, it left no whole checkpoint, the command would write into its folder, the data are
            not those of the run, or there is no such device.
    """
    if context.config.run is None:
        raise UserError("run is missing; give run=FOLDER of a finished search")
    folder = _folder(Path(context.config.run), paths=paths)
    if context.folder.path.resolve() in (folder.path.resolve(), Path(context.config.run).resolve()):
        raise UserError(
            f"hydra.run.dir={context.folder.path}: is the folder of run={context.config.run}, which must not be "
            "overwritten; choose another"
        )
    config = _configuration(folder, context)
    problem = open_problem(config)
    refuse_other_data(folder.path, problem.identity(), config.data.path)
    module, data = build_search(config, problem)
    dtype = torch.float64 if config.hardware.precision.startswith("64") else torch.float32
    module.supernet.to(dtype)  # before the weights are copied into it, which would else be rounded
    file = folder.taken_checkpoint if folder.taken_checkpoint.is_file() else folder.checkpoint
    checkpoint = restore(module, file)
    device = device_of_hardware(config.hardware)
    module.supernet.to(device)
    module.supernet.end_search()

    def batches() -> Iterable[Any]:
        return (_cast(move_data_to_device(batch, device), dtype) for batch in data.val_dataloader())

    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    states = checkpoint.get("optimizer_states") or [{}, {}]
    start = Start(module.stages.total, int(checkpoint.get("global_step") or 0))
    ended = Ended(module, data, states[1], start, identity={"checkpoint": checksum})
    return Searched(module, config, problem, batches, checksum, ended)


def restore(module: SearchModule, file: Path) -> Mapping[str, Any]:
    """Bring a search to the state in a checkpoint: its stage, its epoch, weights and architecture parameters.

    Args:
        module: of the same configuration.
        file: the checkpoint.

    Returns:
        The content of the file.

    Raises:
        UserError: if the file is damaged, or not the checkpoint of this search.
    """
    checkpoint = dict(interop.read(file))
    try:
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"])
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{file}: not the checkpoint of this search ({reason})") from None
    return checkpoint


def refuse_unfinished(run: Path) -> None:
    """Raise UserError if the search in that folder has not ended."""
    folder = _folder(run, paths=True)
    ended = RunFolder(run) if folder.path.name == SHARED_WEIGHTS else folder
    if not ended.genotype.is_file():
        raise UserError(f"run={run}: the search is not finished; continue it with resume={run}")


def _cast(batch: Any, dtype: torch.dtype) -> Any:
    return tuple(part.to(dtype) if part.is_floating_point() else part for part in batch)


def _folder(path: Path, *, paths: bool = False) -> RunFolder:
    """The folder of a search at `path`, or inside that of task=search_and_retrain; with `paths` also that of the shared
    weights of task=strategy."""
    if not path.is_dir():
        raise UserError(f"run={path}: there is no such folder")
    for folder in (RunFolder(path / "search"), RunFolder(path)):
        if folder.checkpoint.is_file() and (folder.path / "alphas.npz").is_file():
            return folder
    shared = RunFolder(path / SHARED_WEIGHTS)
    if paths and shared.checkpoint.is_file():
        return shared
    raise UserError(f"run={path}: not the folder of a search (task=search or search_and_retrain)")


def _configuration(folder: RunFolder, context: Context) -> Config:
    """What the search was started with, and over it the command's own hardware, and its own values of `data` and
    `train`."""
    run = read_configuration(folder.path)
    if run is None:
        raise UserError(f"{folder.path / CONFIG}: not the configuration of a run")
    settings = OmegaConf.create(dict(context.resolved) | run)
    given = HydraConfig.get().overrides.task
    if any(override.startswith("hardware=") for override in given):
        settings.hardware = {**context.resolved["hardware"], "precision": settings.hardware.precision}
    for override in given:
        key, _, value = override.lstrip("+").partition("=")
        if key.startswith(("data.", "hardware.", "train.")):
            OmegaConf.update(settings, key, OmegaConf.from_dotlist([f"value={value}"]).value)
    return parse_config(settings)
