"""Loggers beside `metrics.csv`."""

from __future__ import annotations

import netrc
import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import Logger, WandbLogger

from darts_pl.config import LoggerConfig, WandbConfig
from darts_pl.runs.folder import RunFolder


def build_loggers(config: LoggerConfig, folder: RunFolder, resolved: Mapping[str, Any]) -> list[Logger]:
    """The loggers that `logger` names.

    Args:
        config: of the logger group.
        folder: of the run.
        resolved: the whole configuration, stored with the run.
    """
    if config.wandb is None:
        return []
    return [_wandb(config.wandb, folder, resolved)]


def finish_loggers(exit_code: int) -> None:
    """End the open W&B run, if there is one: 0 shows as finished, anything else as crashed.

    Without it the next run of the same process (a retraining after a search, the next job of a
    sweep) would go on in the same W&B run.
    """
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=exit_code)


def _wandb(config: WandbConfig, folder: RunFolder, resolved: Mapping[str, Any]) -> Logger:
    mode = os.environ.get("WANDB_MODE") or config.mode or ("online" if _logged_in() else "offline")
    folder.path.mkdir(parents=True, exist_ok=True)
    finish_loggers(0)
    return WandbLogger(
        project=config.project,
        entity=config.entity,
        save_dir=folder.path,
        mode=mode,
        config=dict(resolved),
        settings={"silent": True, "console": "off"},
    )


def _logged_in() -> bool:
    """Whether W&B has a key, without asking its server or the user: in the environment or in .netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
