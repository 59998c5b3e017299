"""What a command that continues a run of an earlier version takes over from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from darts_pl.config import GOES_ON, as_it_began, flatten, parse_config
from darts_pl.runs.fitting import newest_settings
from darts_pl.tasks.execution.context import Context


def continued(context: Context) -> Context:
    """The context of a command; where it continues a run of an earlier version, with what that version did in place of
    defaults that have changed since, except for keys that the command gives."""
    stored = newest_settings(context.folder) if context.config.resume else None
    if not stored:
        return context
    given = {override.lstrip("+").partition("=")[0] for override in HydraConfig.get().overrides.task}
    now = flatten(context.resolved)
    # A run that was continued once has the keys in its checkpoint.
    began = as_it_began(stored, now) | {key: stored[key] for key in GOES_ON & stored.keys() & now.keys()}
    changes = {key: value for key, value in began.items() if key not in given and value != now[key]}
    if not changes:
        return context
    settings = OmegaConf.create(dict(context.resolved))
    for key, value in changes.items():
        OmegaConf.update(settings, key, value)
    resolved: Any = OmegaConf.to_container(settings)
    return replace(context, config=parse_config(settings), resolved=resolved)
