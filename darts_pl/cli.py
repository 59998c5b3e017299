"""The command line: composes the configuration, runs the task, turns errors into exit statuses.

Exit statuses: 0 done; 2 invalid command; 130 and 143 interrupted; 1 anything else.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from darts_pl import run_folder
from darts_pl.command_line import config_folder, expand_paths, prepared, user_message
from darts_pl.config import Config, typed
from darts_pl.errors import UserError
from darts_pl.interruption import Interrupted, handling_signals
from darts_pl.launcher_environment import is_first
from darts_pl.run_folder import Refused
from darts_pl.sweeps import ClaimSweepFolder, all_failed, report_sweep, run_in_sweep

# torch reads this when it is loaded. Threads that wait for work then sleep instead of spinning: on a busy machine,
# spinning threads of one program starve the others, and a search takes many times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Args:
        argv: arguments without the program's name; None = those of the process.
    """
    show_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    ClaimSweepFolder.forget()
    status = 1
    try:
        status = _status(argv, show_traceback)
        if ClaimSweepFolder.folder is None:
            return status
        of_jobs = report_sweep(ClaimSweepFolder.folder, ClaimSweepFolder.lost, show_traceback)
        return status or of_jobs
    finally:
        run_folder.end_claim(refused=status == 2)
        ClaimSweepFolder.end(refused=status == 2)


def _status(argv: Sequence[str] | None, show_traceback: bool) -> int:
    """Run a command line, print what went wrong, and return the exit status without that of a sweep's jobs."""
    run_folder.register_resolver()
    try:
        # HYDRA_FULL_ERROR lets Hydra raise its errors instead of printing them.
        with handling_signals(), _arguments(argv), _environment("HYDRA_FULL_ERROR", "1"):
            hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")(_run)()
        return 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except KeyboardInterrupt:
        return _report_interruption(Interrupted(signal.SIGINT))
    except Interrupted as interruption:
        return _report_interruption(interruption)
    except (Exception, Refused) as raised:
        if all_failed(ClaimSweepFolder.folder):
            return 0  # the sweeper complains that there is nothing to compare; the report says more
        error = raised.error if isinstance(raised, Refused) else raised
        message = user_message(error, sys.argv[1:] if argv is None else argv)
        if show_traceback or message is None:
            traceback.print_exception(error)
        if message is not None:
            print("error: " + "\n".join(message.splitlines()[:3]), file=sys.stderr)
        return 1 if message is None else 2


def _report_interruption(interruption: Interrupted) -> int:
    """Print what interrupted the run and how to continue it; returns the exit status."""
    lines = [f"interrupted by {signal.Signals(interruption.number).name}"]
    if interruption.saved is not None:
        lines.append(f"saved {interruption.saved}")
    elif interruption.last is not None:
        lines.append(f"the last checkpoint is {interruption.last}")
    if (interruption.saved or interruption.last) and ClaimSweepFolder.folder is None:  # a sweep's report says so
        lines.append(f"to continue, repeat the command with {interruption.remedy}")
    if is_first():
        print("\n" + "\n".join(lines), file=sys.stderr)
    return interruption.exit_status


def console() -> None:
    """Entry point of the console script."""
    sys.exit(main())


def _run(config: DictConfig) -> float | None:
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return run_in_sweep(config, _task, user_message)
    try:
        return _task(config)
    except UserError as error:
        raise Refused(error) from error


def _task(config: DictConfig) -> float | None:
    try:
        expand_paths(config)
        typed_config: Config = typed(config)
        for module in typed_config.imports:
            _import(module)
        from darts_pl.tasks import run_task  # imported here so that --help and tab completion stay quick

        return run_task(typed_config, config)
    except Interrupted as interruption:
        interruption.last = run_folder.newest_checkpoint()
        interruption.remedy = run_folder.how_to_continue()
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


@contextmanager
def _arguments(argv: Sequence[str] | None) -> Iterator[None]:
    before = sys.argv
    sys.argv = [before[0], *prepared(before[1:] if argv is None else argv)]
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
