"""Messages for Hydra plugins that the extra `sweep` installs."""

from __future__ import annotations

import re

#: A group and the option that the plugin adds to it -> the plugin.
OPTIONS = {
    "hydra/launcher/joblib": "hydra-joblib-launcher",
    "hydra/launcher/submitit_local": "hydra-submitit-launcher",
    "hydra/launcher/submitit_slurm": "hydra-submitit-launcher",
    "hydra/sweeper/optuna": "hydra-optuna-sweeper",
    "hydra/sweeper/sampler": "hydra-optuna-sweeper",
}


def missing_plugin(message: str) -> str | None:
    """How to install the plugin whose option Hydra's `message` reports as unknown; None for other messages."""
    found = re.search(r"(?:Could not (?:find|load|override)) '(hydra/[a-z/_]+)'", message)
    plugin = OPTIONS.get(found.group(1)) if found else None
    if found is None or plugin is None:
        return None
    option = found.group(1) if found.group(1).endswith("sampler") else "=".join(found.group(1).rsplit("/", 1))
    return f"{option} needs {plugin}: pip install 'darts-pl[sweep]' (in a checkout '.[sweep]')"
