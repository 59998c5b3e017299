"""From an exception to the lines that tell the user what was wrong and what to write instead."""

from __future__ import annotations

import errno
import importlib
import re
from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from darts_pl import atomic
from darts_pl.command_line.arguments import explain_argument
from darts_pl.command_line.group_files import choices_with, config_folder, current_choice, explain_key
from darts_pl.config import nearest_key
from darts_pl.errors import UserError
from darts_pl.registry import unknown_name
from darts_pl.sweeps import missing_plugin

#: Error numbers of a folder that cannot be used, whatever is done there.
UNUSABLE = {getattr(errno, name) for name in ("ENOTDIR", "EEXIST", "EACCES", "EPERM", "EROFS", "ENAMETOOLONG")}


def user_message(error: Exception, arguments: Sequence[str] = ()) -> str | None:
    """One to three lines for an error that the user can fix; None for any other.

    Args:
        error: what was raised.
        arguments: of the command.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in atomic.DISK_FULL:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}: disk full; free some space and continue with resume=true"
    if isinstance(error, OSError) and error.errno in UNUSABLE and error.filename:
        name = str(error.filename)
        name = name if len(name) <= 120 else f"{name[:117]}..."
        return (
            f"{name}: {error.strerror}; choose another folder with hydra.run.dir=..., for a sweep hydra.sweep.dir=..."
        )
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be"):
        return "a group is swapped by a name, such as order=first, or a list of names, such as logger=[wandb]"
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        text = "\n".join(str(part) for part in (error, error.__cause__) if part)
        return _hydra_message(text, arguments)
    return None


def _hydra_message(text: str, arguments: Sequence[str]) -> str:
    if (wanted := missing_plugin(text)) is not None:
        return wanted
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown and "not in struct" in text:
        importlib.import_module("darts_pl.tasks")  # registers the sections, whose keys are compared
        return _unknown_key(unknown.group(1), arguments)
    missing = re.search(r"Could not (?:find|load) '([^']+)'", text)
    if missing and "/" in missing.group(1):
        group, _, name = missing.group(1).rpartition("/")
        available = re.search(r"Available options in '[^']+':\n((?:\s+\S+\n?)+)", text)
        if available:
            names = available.group(1).split()
        else:  # Hydra lists none for a name in a list of names
            names = sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))
        return unknown_name(group, name, names)
    if "override_grammar" in text and "Genotype(" in " ".join((text, *arguments)):
        lines.insert(1, "quote the text of a genotype twice, genotype='\"Genotype(...)\"', or give genotype=FILE")
    elif "override_grammar" in text or "Ambiguous value" in text:
        lines = [line] if (line := explain_argument(arguments)) is not None else lines
    return "\n".join(line for line in lines if not line.startswith(("full_key:", "object_type=", "reference_type=")))


def _unknown_key(key: str, arguments: Sequence[str]) -> str:
    """What is said about a key that the composed configuration does not have."""
    explained = explain_key(key, arguments)
    if explained is not None:
        return explained
    near = nearest_key(key)
    if near is None:
        return f"unknown key {key}; --cfg job prints all keys"
    choices, group = choices_with(near), near.partition(".")[0]
    if choices and f"{group}={current_choice(arguments, group)}" not in choices:
        return f"unknown key {key}; did you mean {near}, which needs {' or '.join(choices)}?"
    return f"unknown key {key}; did you mean {near}?"
