"""Before the first job of a sweep: is all there that it needs?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from darts_pl.errors import UserError
from darts_pl.sweeps.lost_jobs import wait_for_all

#: Inside a sweep's folder: one file a job, which names the job's folder.
JOBS = ".jobs"

#: Where the plugin's default does not fit our jobs, which return what is to be maximised, and None where they fail.
OPTUNA_DEFAULTS: Mapping[str, tuple[Any, Any]] = {
    "direction": ("minimize", "maximize"),
    "max_failure_rate": (0.0, 1.0),
    "sampler.seed": (None, 0),  # so that a repeated sweep draws the same jobs
}


class Refused(BaseException):
    """The command was refused. Carries the error past Hydra, which would add lines of its own."""

    def __init__(self, error: UserError) -> None:
        super().__init__(error)
        self.error = error


class SweepStart(Callback):
    """Hydra calls it in the process of the command, before a sweep starts; `conf/config.yaml` names it."""

    #: The folder of the sweep that this process started, if it started one.
    folder: ClassVar[Path | None] = None

    #: What is known of its jobs that the launcher lost.
    lost: ClassVar[list[str]] = []

    @classmethod
    def forget(cls) -> None:
        """As before any sweep."""
        cls.folder, cls.lost = None, []

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        """Refuse a sweep that cannot work; else make its folder known to all its jobs."""
        try:
            _require_folder(config)
            if "optuna" in str(config.hydra.sweeper._target_):
                _prepare_optuna(config)
            if "submitit" in str(config.hydra.launcher._target_):
                wait_for_all(self.lost)
        except UserError as error:
            raise Refused(error) from None
        folder = Path(config.hydra.sweep.dir)
        # Each job composes its configuration anew, from these overrides and its own.
        config.hydra.overrides.hydra.extend(
            [
                f"hydra.sweep.dir={_quoted(str(folder))}",  # else jobs of another task would go elsewhere
                f"hydra.job.config.override_dirname.exclude_keys=[{','.join(map(_quoted, _not_in_names(config)))}]",
            ]
        )
        jobs = folder / JOBS
        jobs.mkdir(parents=True, exist_ok=True)
        for file in jobs.glob("*.json"):
            file.unlink()
        SweepStart.folder = folder


def _require_folder(config: DictConfig) -> None:
    """`resume` in a folder that was made for this very command would find nothing."""
    if not config.resume:
        return
    if config.resume is not True:
        raise UserError(
            f"resume={config.resume} in a sweep: write resume=true, and the sweep's folder as hydra.sweep.dir=FOLDER"
        )
    if _is_given(config, "hydra.sweep.dir"):
        return
    from darts_pl.records.latest import newest_folder

    parent = Path(config.hydra.sweep.dir).parent
    newest = newest_folder(parent, f"{JOBS}/*.json")
    there = f"{parent} holds no sweep" if newest is None else f"the newest is hydra.sweep.dir={newest}"
    raise UserError(f"resume=true: which sweep? give hydra.sweep.dir=FOLDER; {there}")


def _prepare_optuna(config: DictConfig) -> None:
    if OmegaConf.select(config, "task.objective") is None:
        raise UserError(f"task={config.task.name} returns nothing that a sweep could maximise; use task=search")
    sweeper = config.hydra.sweeper
    for key, (theirs, ours) in OPTUNA_DEFAULTS.items():
        value = OmegaConf.select(sweeper, key, default="")
        if getattr(value, "name", value) == theirs and not _is_given(config, f"hydra.sweeper.{key}"):
            OmegaConf.update(sweeper, key, ours)
    import optuna

    # Both report each trial in words of their own; the jobs and the end of the sweep do that.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper._impl").setLevel(logging.CRITICAL)


def _is_given(config: DictConfig, key: str) -> bool:
    return any(override.lstrip("+").startswith(f"{key}=") for override in config.hydra.overrides.hydra)


def _not_in_names(config: DictConfig) -> list[str]:
    """The keys that jobs' folders are not called after: those that all jobs share, unless they share all."""
    parsed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    differing = {override.key_or_group for override in parsed if override.is_sweep_override()}
    shared = [override.key_or_group for override in parsed if override.key_or_group not in differing]
    drawn = bool(config.hydra.sweeper.get("params"))
    return [*config.hydra.job.config.override_dirname.exclude_keys, *(shared if differing or drawn else [])]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"
