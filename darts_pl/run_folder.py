"""Which folder a command writes to: its own default, a scheduler's job, or the run that is continued."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from darts_pl.errors import UserError
from darts_pl.launcher_environment import is_first, slurm_tasks
from darts_pl.quoting import assignment
from darts_pl.records.claims.claim import Claim, claim_folder, claim_new_folder
from darts_pl.records.contents import holds_run
from darts_pl.records.latest import newest_file, newest_folder

RUN_KEY, SWEEP_KEY = "hydra.run.dir", "hydra.sweep.dir"


class Refused(BaseException):
    """The command was refused. Carries the error past Hydra, which would add lines of its own, or only warn."""

    def __init__(self, error: UserError) -> None:
        super().__init__(error)
        self.error = error


class ClaimRunFolder(Callback):
    """Claims the folder of a single run before Hydra writes into it; `conf/config.yaml` names this callback.

    Rank zero alone claims. The other processes of a run are given the folder's name.
    """

    #: What this process holds, until `end_claim`.
    claim: ClassVar[Claim | None] = None

    def on_run_start(self, config: DictConfig, **kwargs: object) -> None:
        """Refuse a folder that must not be used; else claim it and tell Hydra its name."""
        try:
            with _hydra_config(config):
                text = str(config.hydra.run.dir)
            folder = folder_named("resume" if config.get("resume") == "" else RUN_KEY, text)
            check_run_folder(config, folder)
            if is_first():
                claim = _claim(config, folder)
                ClaimRunFolder.claim, folder = claim, claim.folder
            elif slurm_tasks() > 1 or os.environ.get("TORCHELASTIC_RUN_ID") is not None:
                set_hydra(config, "output_subdir", None)  # rank zero writes it
        except UserError as error:
            raise Refused(error) from None
        set_hydra(config, "run.dir", str(folder))


def end_claim(*, refused: bool) -> None:
    """Release the folder that this process holds, if any.

    Args:
        refused: whether the command was refused. It then leaves the folder as it found it.
    """
    claim, ClaimRunFolder.claim = ClaimRunFolder.claim, None
    if claim is not None:
        claim.end(refused=refused)


def register_resolver() -> None:
    """Let `conf/config.yaml` write ``${run_folder:resume,parent,name}``; registering it again changes nothing."""
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)


def run_folder(resume: Any, parent: str, name: str) -> str:
    """The folder of a run whose command names none.

    Args:
        resume: the configuration's value; a text is the folder.
        parent: of new folders.
        name: of a new folder. Processes that a scheduler or torchrun started must agree on it, so their folder
            has the name of their job instead, which is also the same when the job is restarted.
    """
    return resume if isinstance(resume, str) else f"{parent}/{job_name() or name}"


def job_name() -> str | None:
    """The name that all processes of this job share; None where no scheduler or torchrun started several."""
    if slurm_tasks() > 1:
        return f"slurm_{os.environ['SLURM_JOB_ID']}"
    run = os.environ.get("TORCHELASTIC_RUN_ID")
    return None if run in (None, "none") else f"torchrun_{run}"


def check_run_folder(config: DictConfig, folder: Path) -> None:
    """Refuse what no folder can satisfy.

    Args:
        config: as Hydra composed it.
        folder: of the run.

    Raises:
        UserError: for ``resume=true`` without a folder, ``resume=FOLDER`` without a run or beside another folder,
            processes that would each choose their own folder, a job that would overwrite its earlier run, and
            ``overwrite=true`` of what the command reads.
    """
    resume, overwrite = config.get("resume"), bool(config.get("overwrite"))
    if resume and overwrite:
        raise UserError(f"resume={resume} and overwrite=true: choose one of them")
    if isinstance(resume, str):
        named = Path(resume).expanduser()
        if folder.resolve() != named.resolve():
            raise UserError(
                f"resume={resume} and {RUN_KEY}={shown(folder)}: give one of them, or {RUN_KEY} and resume=true"
            )
        if not holds_run(named):
            raise UserError(f"resume={resume}: no run found; to start one there, use {RUN_KEY}={resume} resume=true")
    if overwrite:
        _check_what_is_read(config, folder)
    if is_given(config, RUN_KEY) or isinstance(resume, str):
        return
    if job_name() is not None and not resume and not overwrite and next(folder.glob("**/last.ckpt"), None) is not None:
        raise UserError(
            f"{shown(folder)}: holds a run of this job; continue it with resume=true, or choose another {RUN_KEY}"
        )
    if job_name() is None and os.environ.get("TORCHELASTIC_RUN_ID") is not None:
        raise UserError(f"under torchrun all processes need one folder: give {RUN_KEY}=... or torchrun --rdzv-id=NAME")
    if resume is True and job_name() is None:
        newest = newest_folder(folder.parent, "**/last.ckpt")
        hint = (
            f"the newest run is {assignment('resume', shown(newest))}"
            if newest
            else f"there is none in {shown(folder.parent)}"
        )
        raise UserError(f"resume=true: which run? give {RUN_KEY}=FOLDER, or resume=FOLDER; {hint}")


def folder_named(key: str, text: str) -> Path:
    """The folder that a key names; ``~`` is the home folder.

    Raises:
        UserError: for no text, as a shell's variable without a value leaves it. Its path would be the current folder.
    """
    if not text.strip():
        raise UserError(f"{key} is empty; give {key}=FOLDER, or leave it out")
    return Path(text).expanduser()


def how_to_continue() -> str:
    """What to add to the command that was interrupted."""
    config = HydraConfig.get()
    multirun = config.mode == RunMode.MULTIRUN
    key, folder = (SWEEP_KEY, config.sweep.dir) if multirun else (RUN_KEY, config.runtime.output_dir)
    # Every job of a sweep is given the sweep's folder, whether the command named it or not.
    named = any(override.lstrip("+").startswith(f"{key}=") for override in config.overrides.hydra)
    given = [] if named and not multirun else [assignment(key, shown(Path(folder)))]
    return " ".join([*given, "resume=true"])


def newest_checkpoint() -> Path | None:
    """The newest checkpoint in this command's folder, or in those of its parts."""
    return newest_file(Path(HydraConfig.get().runtime.output_dir), "**/last.ckpt")


def newest_decisions() -> Path | None:
    """The newest decisions of a selection rule in this command's folder, or in those of its parts, that is at work."""
    found = newest_file(Path(HydraConfig.get().runtime.output_dir), "**/selection.json")
    return None if found is None or (found.parent / "genotype.json").exists() else found


def is_given(config: DictConfig, key: str) -> bool:
    """Whether the command line gives a key of Hydra's."""
    return any(override.lstrip("+").startswith(f"{key}=") for override in config.hydra.overrides.hydra)


def set_hydra(config: DictConfig, key: str, value: Any) -> None:
    """Change a value of Hydra's own configuration, which it keeps read-only."""
    with read_write(config.hydra), open_dict(config.hydra):
        OmegaConf.update(config.hydra, key, value)


def shown(path: Path) -> str:
    """A path as the user would type it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _claim(config: DictConfig, folder: Path) -> Claim:
    resume, overwrite = config.get("resume"), bool(config.get("overwrite"))
    if is_given(config, RUN_KEY) or isinstance(resume, str) or job_name() is not None:
        return claim_folder(folder, RUN_KEY, resume=bool(resume), overwrite=overwrite)
    return claim_new_folder(folder, RUN_KEY)


def _check_what_is_read(config: DictConfig, folder: Path) -> None:
    """Refuse to replace a run that the command reads."""
    for key in ("run", "genotype", "checkpoint", "runs"):
        value = config.get(key)
        for text in value if OmegaConf.is_list(value) else [value]:
            if isinstance(text, str) and _lies_in(Path(text).expanduser(), folder):
                raise UserError(
                    f"{key}={text}: lies in the folder that overwrite=true replaces; choose another {RUN_KEY}"
                )


def _lies_in(path: Path, folder: Path) -> bool:
    try:
        return path.exists() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # the text of a genotype is no path
        return False


@contextmanager
def _hydra_config(config: DictConfig) -> Iterator[None]:
    """Let ``${hydra:...}`` be resolved, which Hydra allows only while a job runs."""
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.set_config(config)
    try:
        yield
    finally:
        instance.cfg = before
