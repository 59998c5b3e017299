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

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from darts_pl import atomic, run_folder
from darts_pl.config import Config, nearest_key, typed
from darts_pl.errors import UserError
from darts_pl.interruption import Interrupted, handling_signals
from darts_pl.launcher_environment import is_first
from darts_pl.sweeps import Refused, SweepStart, all_failed, extra_wanted, report, run_in_sweep

# Read when torch is loaded, which is later. Threads that wait for work then sleep instead of spinning:
# on a busy machine the spinning of one program starves the others, and a search takes many times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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
    SweepStart.forget()
    status = _status(argv, show_traceback)
    if SweepStart.folder is None:
        return status
    of_jobs = report(SweepStart.folder, SweepStart.lost, show_traceback)
    return status or of_jobs


def _status(argv: Sequence[str] | None, show_traceback: bool) -> int:
    """Run a command line, say what went wrong, and return the exit status, but for failed jobs of a sweep."""
    run_folder.register_resolver()
    try:
        with (
            handling_signals(),
            _arguments(argv),
            _environment("HYDRA_FULL_ERROR", "1"),
        ):  # errors come to us, not to Hydra
            hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")(_run)()
        return 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except KeyboardInterrupt:
        return _tell(Interrupted(signal.SIGINT))
    except Interrupted as interruption:
        return _tell(interruption)
    except (Exception, Refused) as raised:
        if all_failed(SweepStart.folder):
            return 0  # what a sweeper says then, which has nothing to compare
        error = raised.error if isinstance(raised, Refused) else raised
        message = _mendable(error)
        if show_traceback or message is None:
            traceback.print_exception(error)
        if message is not None:
            print("error: " + "\n".join(message.splitlines()[:3]), file=sys.stderr)
        return 1 if message is None else 2


def _tell(interruption: Interrupted) -> int:
    """Say what interrupted the run and how to go on; returns the exit status."""
    lines = [f"interrupted by {signal.Signals(interruption.number).name}"]
    if interruption.saved is not None:
        lines.append(f"saved {interruption.saved}")
    elif interruption.last is not None:
        lines.append(f"the last checkpoint is {interruption.last}")
    if (interruption.saved or interruption.last) and SweepStart.folder is None:  # a sweep says so at its end
        lines.append(f"go on with the same command and {interruption.remedy}")
    if is_first():
        print("\n" + "\n".join(lines), file=sys.stderr)
    return interruption.exit_status


def console() -> None:
    """Entry point of the console script."""
    sys.exit(main())


def _run(config: DictConfig) -> float | None:
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return run_in_sweep(config, _task, _mendable)
    try:
        return _task(config)
    except UserError as error:
        run_folder.remove_if_empty()
        raise Refused(error) from error


def _task(config: DictConfig) -> float | None:
    try:
        typed_config: Config = typed(config)
        for module in typed_config.imports:
            _import(module)
        run_folder.check_run_folder(typed_config.resume)
        from darts_pl.tasks import run_task  # here, so that --help and tab completion stay quick

        return run_task(typed_config, config)
    except Interrupted as interruption:
        interruption.last = run_folder.newest_checkpoint()
        interruption.remedy = run_folder.how_to_go_on()
        raise


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
    if (wanted := extra_wanted(text)) is not None:
        return wanted
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown and "not in struct" in text:
        if unknown.group(1).startswith("logger.wandb."):
            return f"{unknown.group(1)}: needs logger=wandb as well"
        near = nearest_key(unknown.group(1))
        return f"unknown key {unknown.group(1)}" + (
            f"; did you mean {near}?" if near else "; --cfg job prints all keys"
        )
    missing = re.search(r"Could not (?:find|load) '([^']+)'", text)
    if missing and "/" in missing.group(1):
        group, _, name = missing.group(1).rpartition("/")
        available = re.search(r"Available options in '[^']+':\n((?:\s+\S+\n?)+)", text)
        if available:
            names = available.group(1).split()
        else:  # Hydra lists none for a name in a list of names
            names = sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))
        return f"unknown {group} {name!r}; known: {', '.join(names)}"
    if "override_grammar" in text and "Genotype(" in " ".join((text, *sys.argv)):
        lines.insert(1, "quote the text of a genotype twice, genotype='\"Genotype(...)\"', or give genotype=FILE")
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
