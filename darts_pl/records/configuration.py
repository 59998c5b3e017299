"""The configuration that Hydra left in a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from darts_pl.config import upgrade_configuration
from darts_pl.errors import UserError

#: Hydra's files in the folder of a run.
CONFIG, CHOICES, OVERRIDES = Path(".hydra/config.yaml"), Path(".hydra/hydra.yaml"), Path(".hydra/overrides.yaml")

_UNREADABLE = (OSError, ValueError, YAMLError, OmegaConfBaseException)


def read_yaml(file: Path) -> Any:
    """The content of a YAML file as plain values; None if there is no such file, or it cannot be read."""
    try:
        return OmegaConf.to_container(OmegaConf.load(file))
    except _UNREADABLE:
        return None


def read_configuration(folder: Path, *sections: str) -> dict[str, Any] | None:
    """What a run of any version was started with, resolved and under the keys of this version.

    Args:
        folder: of the run; the folder of a part of a run has the configuration in its parent.
        sections: those that are read; none = the whole configuration.

    Returns:
        Plain values; None if the run left no configuration.

    Raises:
        UserError: if the configuration cannot be read or resolved.
    """
    file = next((file for file in (folder / CONFIG, folder.parent / CONFIG) if file.is_file()), None)
    if file is None:
        return None
    try:
        stored: Any = OmegaConf.load(file)
        if sections:
            values: Any = {name: OmegaConf.to_container(stored[name], resolve=True) for name in sections}
        else:
            values = OmegaConf.to_container(stored, resolve=True)
        found = upgrade_configuration(values)
        return {name: found[name] for name in sections or found}
    except (*_UNREADABLE, AttributeError, TypeError):  # the last two where it is a list
        raise UserError(f"{file}: not the configuration of a run") from None
