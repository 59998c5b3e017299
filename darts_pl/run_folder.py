"""Where a command writes: its own default, a scheduler's job, or the folder that is continued."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from darts_pl.errors import UserError
from darts_pl.launcher_environment import slurm_tasks

_RUN_KEY, _SWEEP_KEY = "hydra.run.dir", "hydra.sweep.dir"


def register_resolver() -> None:
    """Let `conf/config.yaml` say ``${run_folder:resume,parent,name}``; nothing changes where it is known already."""
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)


def run_folder(resume: Any, parent: str, name: str) -> str:
    """The folder of a run where none is given.

    Args:
        resume: the configuration's; a text is the folder.
        parent: of new folders.
        name: of a new one. Processes that a scheduler or torchrun started must agree on it, so the
            name of their job stands in its place, which is also the same when the job is started again.
    """
    return resume if isinstance(resume, str) else f"{parent}/{job_name() or name}"


def job_name() -> str | None:
    """What all processes of this job know it by; None where no scheduler or torchrun started several."""
    if slurm_tasks() > 1:
        return f"slurm_{os.environ['SLURM_JOB_ID']}"
    run = os.environ.get("TORCHELASTIC_RUN_ID")
    return None if run in (None, "none") else f"torchrun_{run}"


def check_run_folder(resume: Any) -> None:
    """Refuse ``resume=true`` without a folder, ``resume=FOLDER`` of a folder that is none or beside
    another one, processes that would each choose their own, and a job that would overwrite what it did.

    Raises:
        UserError: naming what could be meant.
    """
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return
    made = Path(HydraConfig.get().runtime.output_dir)
    if isinstance(resume, str):
        if made.resolve() != Path(resume).resolve():
            raise UserError(
                f"resume={resume} and {_RUN_KEY}={_shown(made)}: give one of them, or {_RUN_KEY} and resume=true"
            )
        if _is_new(made):
            raise UserError(
                f"resume={resume}: there is no run; to start one there give {_RUN_KEY}={resume} resume=true"
            )
    if _is_given(_RUN_KEY) or isinstance(resume, str):
        return
    if job_name() is not None and not resume and next(made.glob("**/last.ckpt"), None) is not None:
        raise UserError(
            f"{_shown(made)}: holds a run of this job; go on with it by resume=true, or give {_RUN_KEY}=..."
        )
    if job_name() is None and os.environ.get("TORCHELASTIC_RUN_ID") is not None:
        raise UserError(f"under torchrun all processes need one folder: give {_RUN_KEY}=... or torchrun --rdzv-id=NAME")
    if resume and job_name() is None:
        from darts_pl.records.latest import newest_folder

        newest = newest_folder(made.parent, "**/last.ckpt", besides=made)
        hint = f"; the newest is resume={_shown(newest)}" if newest else f"; there is none in {_shown(made.parent)}"
        raise UserError(f"resume=true: which run? give {_RUN_KEY}=FOLDER, or resume=FOLDER{hint}")


def how_to_go_on() -> str:
    """What to add to the command that was interrupted."""
    config = HydraConfig.get()
    multirun = config.mode == RunMode.MULTIRUN
    key, folder = (_SWEEP_KEY, config.sweep.dir) if multirun else (_RUN_KEY, config.runtime.output_dir)
    # Every job of a sweep is given the sweep's folder, whether the command named it or not.
    given = [] if _is_given(key) and not multirun else [f"{key}={_shown(Path(folder))}"]
    return " ".join([*given, "resume=true"])


def remove_if_empty() -> None:
    """Remove the folder that Hydra made for a command that was refused before it wrote anything."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if not _is_given(_RUN_KEY) and _is_new(folder):
        shutil.rmtree(folder, ignore_errors=True)


def newest_checkpoint() -> Path | None:
    """The newest one in this command's folder, or in those of its parts."""
    from darts_pl.records.latest import newest_file

    return newest_file(Path(HydraConfig.get().runtime.output_dir), "**/last.ckpt")


def _is_new(folder: Path) -> bool:
    """Whether nothing is in it but what Hydra writes when a command starts."""
    try:
        return [path.name for path in folder.iterdir()] in ([], [".hydra"])
    except OSError:  # another process of this run removes it
        return True


def _is_given(key: str) -> bool:
    return any(override.lstrip("+").startswith(f"{key}=") for override in HydraConfig.get().overrides.hydra)


def _shown(path: Path) -> str:
    """A path as the user would type it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
