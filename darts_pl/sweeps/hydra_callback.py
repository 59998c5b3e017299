"""What happens before the first job of a sweep: checks, and the claim on its folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from darts_pl.errors import UserError
from darts_pl.launcher_environment import is_first
from darts_pl.quoting import assignment
from darts_pl.records.claims.claim import Claim, claim_folder, claim_new_folder
from darts_pl.records.latest import newest_folder
from darts_pl.run_folder import SWEEP_KEY, Refused, folder_named, is_given, set_hydra
from darts_pl.sweeps.lost_jobs import wait_for_all

#: In a sweep's folder: one file per job, which names the job's folder.
JOBS = ".jobs"

#: (the plugin's default, ours) of the keys whose default does not fit our jobs: they return a score to be maximised,
#: and None where they fail.
OPTUNA_DEFAULTS: Mapping[str, tuple[Any, Any]] = {
    "direction": ("minimize", "maximize"),
    "max_failure_rate": (0.0, 1.0),
    "sampler.seed": (None, 0),  # a repeated sweep then draws the same jobs
}


class ClaimSweepFolder(Callback):
    """Claims the folder of a sweep before its first job starts; `conf/config.yaml` names this callback."""

    #: The folder of the sweep that this process started, if it started one.
    folder: ClassVar[Path | None] = None

    #: The claim on it, until `end`.
    claim: ClassVar[Claim | None] = None

    #: One line for each job that the launcher lost.
    lost: ClassVar[list[str]] = []

    #: Numbers of the jobs whose end, also a failure, is an answer to a search without gradients. None = the jobs of
    #: the sweep are no questions of such a search.
    answered: ClassVar[set[int] | None] = None

    @classmethod
    def forget(cls) -> None:
        """Return to the state before any sweep."""
        cls.folder, cls.claim, cls.lost, cls.answered = None, None, [], None

    @classmethod
    def end(cls, *, refused: bool) -> None:
        """Release the sweep's folder.

        Args:
            refused: whether the command was refused before any job started.
        """
        claim, cls.claim = cls.claim, None
        if claim is not None:
            claim.end(refused=refused)

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        """Refuse a sweep that cannot work; else claim its folder and pass its name to all jobs."""
        try:
            _check_resume(config)
            if "optuna" in str(config.hydra.sweeper._target_):
                _prepare_optuna(config)
            if "submitit" in str(config.hydra.launcher._target_):
                wait_for_all(self.lost)
            folder = _claimed_folder(config)
        except UserError as error:
            raise Refused(error) from None
        set_hydra(config, "sweep.dir", str(folder))
        # Each job composes its own configuration, from these overrides and the job's.
        config.hydra.overrides.hydra.extend(
            [
                f"hydra.sweep.dir={_quoted(str(folder))}",  # otherwise jobs of another task would go elsewhere
                f"hydra.job.config.override_dirname.exclude_keys=[{','.join(map(_quoted, _not_in_names(config)))}]",
            ]
        )
        jobs = folder / JOBS
        jobs.mkdir(parents=True, exist_ok=True)
        for file in jobs.glob("*.json"):
            file.unlink()
        ClaimSweepFolder.folder = folder


def _claimed_folder(config: DictConfig) -> Path:
    """The folder of the sweep, claimed by the first process."""
    folder = folder_named(SWEEP_KEY, str(config.hydra.sweep.dir))
    if not is_first():
        return folder
    resume, overwrite = bool(config.resume), bool(config.overwrite)
    if is_given(config, SWEEP_KEY):
        claim = claim_folder(folder, SWEEP_KEY, resume=resume, overwrite=overwrite)
    else:
        claim = claim_new_folder(folder, SWEEP_KEY)
    ClaimSweepFolder.claim = claim
    return claim.folder


def _check_resume(config: DictConfig) -> None:
    """Refuse a ``resume`` that names no sweep: a new folder holds nothing to resume."""
    if not config.resume:
        return
    if config.overwrite:
        raise UserError(f"resume={config.resume} and overwrite=true: choose one of them")
    if config.resume is not True:
        raise UserError(
            f"resume={config.resume} in a sweep: write resume=true, and the sweep's folder as {SWEEP_KEY}=FOLDER"
        )
    if is_given(config, SWEEP_KEY):
        return
    parent = Path(config.hydra.sweep.dir).parent
    newest = newest_folder(parent, f"{JOBS}/*.json")
    hint = f"{parent} holds no sweep" if newest is None else f"the newest is {assignment(SWEEP_KEY, str(newest))}"
    raise UserError(f"resume=true: which sweep? give {SWEEP_KEY}=FOLDER; {hint}")


def _prepare_optuna(config: DictConfig) -> None:
    if OmegaConf.select(config, "task.objective") is None:
        raise UserError(f"task={config.task.name} returns no score that a sweep could maximise; use task=search")
    sweeper = config.hydra.sweeper
    for key, (theirs, ours) in OPTUNA_DEFAULTS.items():
        value = OmegaConf.select(sweeper, key, default="")
        if getattr(value, "name", value) == theirs and not is_given(config, f"hydra.sweeper.{key}"):
            OmegaConf.update(sweeper, key, ours)
    import optuna

    # Both report every trial; the jobs and the report of the sweep do that already.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper._impl").setLevel(logging.CRITICAL)


def _not_in_names(config: DictConfig) -> list[str]:
    """The keys that are left out of the folder names of jobs: those that all jobs share, unless they share all."""
    parsed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    differing = {override.key_or_group for override in parsed if override.is_sweep_override()}
    shared = [override.key_or_group for override in parsed if override.key_or_group not in differing]
    drawn = bool(config.hydra.sweeper.get("params"))
    return [*config.hydra.job.config.override_dirname.exclude_keys, *(shared if differing or drawn else [])]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"
