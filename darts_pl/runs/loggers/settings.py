"""Settings of the loggers beside `metrics.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from darts_pl.registry import NoSettings, Registry
from darts_pl.settings import Range, above, at_least, setting

#: Loggers beside `metrics.csv`. A component is the dataclass of its settings; `build_loggers` opens it.
LOGGERS: Registry[Any] = Registry("logger")


@dataclass(frozen=True, kw_only=True)
class LoggerSettings:
    """What all loggers are given."""

    every_n_steps: int = setting("batches between two points of the training loss", at_least(1))
    alphas: bool = setting("whether every alpha is logged as a number too")


@dataclass(frozen=True, kw_only=True)
class WandbSettings:
    """Weights & Biases."""

    mode: str | None = setting(
        "null = online if the user is logged in, else offline",
        Range(
            lambda value: value in (None, "online", "offline", "disabled"),
            "online, offline, disabled, or null",
            ("no_such_mode",),
        ),
    )
    project: str = setting("project on the server")
    entity: str | None = setting("user or team; null = the account's own")
    timeout: float = setting("seconds that its server may take to open a run, and to close it", above(0))


@dataclass(frozen=True, kw_only=True)
class MlflowSettings:
    """MLflow."""

    experiment: str = setting("experiment that the run belongs to")
    tracking_uri: str | None = setting("server or folder; null = what MLFLOW_TRACKING_URI says, else the run's folder")
    timeout: float = setting("seconds that the server may take to open a run, and to close it", above(0))


@dataclass(frozen=True, kw_only=True)
class CometSettings:
    """Comet."""

    project: str = setting("project on the server")
    workspace: str | None = setting("workspace; null = the account's own")
    online: bool | None = setting("null = online if there is an API key, else offline")
    timeout: float = setting("seconds that the server may take to open a run, and to close it", above(0))


LOGGERS.add("wandb", WandbSettings, settings=WandbSettings)
LOGGERS.add("tensorboard", NoSettings)
LOGGERS.add("mlflow", MlflowSettings, settings=MlflowSettings)
LOGGERS.add("comet", CometSettings, settings=CometSettings)
