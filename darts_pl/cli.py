"""The command line: composes the configuration, runs the task, turns errors into exit statuses.

Exit statuses: 0 done; 2 the user can mend the command; 130 and 143 interrupted; 1 anything else.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from darts_pl.config import Config, nearest_key, typed
from darts_pl.errors import UserError

# Read when torch is loaded, which is later. Threads that wait for work then sleep instead of spinning:
# on a busy machine the spinning of one program starves the others, and a search takes many times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived. Not a KeyboardInterrupt: Lightning turns that into exit status 1."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Refused(BaseException):
    """A single run was refused. Carries the error past Hydra, which would add lines of its own."""

    def __init__(self, error: UserError) -> None:
        super().__init__(error)
        self.error = error


def config_folder() -> Path:
    """Where the YAML files are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Args:
        argv: arguments without the program's name; None = those of the process.
    """
    show_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        with _signals(), _arguments(argv), _environment("HYDRA_FULL_ERROR", "1"):  # errors come to us, not to Hydra
            hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")(_run)()
        return 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except (Interrupted, KeyboardInterrupt) as interruption:
        number = interruption.number if isinstance(interruption, Interrupted) else signal.SIGINT
        print(f"\ninterrupted by {signal.Signals(number).name}", file=sys.stderr)
        return 128 + number
    except (Exception, Refused) as raised:
        error = raised.error if isinstance(raised, Refused) else raised
        message = _mendable(error)
        if show_traceback or message is None:
            traceback.print_exception(error)
        if message is not None:
            print("error: " + "\n".join(message.splitlines()[:3]), file=sys.stderr)
        return 1 if message is None else 2


def console() -> None:
    """Entry point of the console script."""
    sys.exit(main())


def _run(config: DictConfig) -> Any:
    try:
        typed_config: Config = typed(config)
        for module in typed_config.imports:
            _import(module)
        from darts_pl.tasks import run_task  # here, so that --help and tab completion stay quick

        return run_task(typed_config, config)
    except UserError as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        raise Refused(error) from error


def _import(module: str) -> None:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0] and error.name != module:
            raise
        raise UserError(f"imports: no module {module!r} in the working directory or the environment") from None


def _mendable(error: Exception) -> str | None:
    """One to three lines for an error that the user can mend; None for any other."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, (NotADirectoryError, FileExistsError, PermissionError)):
        return f"{error.filename}: {error.strerror}; choose another folder with hydra.run.dir=..."
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        text = "\n".join(str(part) for part in (error, error.__cause__) if part)
        return _hydra_message(text)
    return None


def _hydra_message(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown and "not in struct" in text:
        near = nearest_key(unknown.group(1))
        return f"unknown key {unknown.group(1)}" + (
            f"; did you mean {near}?" if near else "; --cfg job prints all keys"
        )
    missing = re.search(r"(?:Could not find|In '[^']*': Could not find) '([^']+)'", text)
    if missing and "/" in missing.group(1):
        group, _, name = missing.group(1).rpartition("/")
        available = re.search(r"Available options in '[^']+':\n((?:\s+\S+\n?)+)", text)
        names = available.group(1).split() if available else []
        return f"unknown {group} {name!r}; known: {', '.join(names)}"
    return "\n".join(line for line in lines if not line.startswith(("full_key:", "object_type=", "reference_type=")))


@contextmanager
def _arguments(argv: Sequence[str] | None) -> Iterator[None]:
    before = sys.argv
    sys.argv = before if argv is None else [before[0], *argv]
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


@contextmanager
def _signals() -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
