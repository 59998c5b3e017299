"""From an exception to the lines that tell the user what was wrong and what to write instead."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from darts_pl import atomic
from darts_pl.config import unknown_key
from darts_pl.errors import UserError
from darts_pl.registry import unknown_name
from darts_pl.sweeps import missing_plugin


def config_folder() -> Path:
    """The folder of the YAML files: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def user_message(error: Exception) -> str | None:
    """One to three lines for an error that the user can fix; None for any other."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in atomic.DISK_FULL:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}: no room for what the run writes; make some and continue with resume=true"
    if isinstance(error, (NotADirectoryError, FileExistsError, PermissionError)):
        return f"{error.filename}: {error.strerror}; choose another folder with hydra.run.dir=..."
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be"):
        return "a group is swapped by a name, such as order=first, or a list of names, such as logger=[wandb]"
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        text = "\n".join(str(part) for part in (error, error.__cause__) if part)
        return _hydra_message(text)
    return None


def _hydra_message(text: str) -> str:
    if (wanted := missing_plugin(text)) is not None:
        return wanted
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown and "not in struct" in text:
        if unknown.group(1).startswith("logger.wandb."):
            return f"{unknown.group(1)}: needs logger=wandb as well"
        import darts_pl.tasks  # noqa: F401 -- registers the sections, whose keys are compared

        return unknown_key(unknown.group(1))
    missing = re.search(r"Could not (?:find|load) '([^']+)'", text)
    if missing and "/" in missing.group(1):
        group, _, name = missing.group(1).rpartition("/")
        available = re.search(r"Available options in '[^']+':\n((?:\s+\S+\n?)+)", text)
        if available:
            names = available.group(1).split()
        else:  # Hydra lists none for a name in a list of names
            names = sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))
        return unknown_name(group, name, names)
    if "override_grammar" in text and "Genotype(" in " ".join((text, *sys.argv)):
        lines.insert(1, "quote the text of a genotype twice, genotype='\"Genotype(...)\"', or give genotype=FILE")
    return "\n".join(line for line in lines if not line.startswith(("full_key:", "object_type=", "reference_type=")))
