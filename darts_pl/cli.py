"""The command line: composes the configuration, runs the task, turns errors into exit statuses.

Exit statuses: 0 done; 2 invalid command; 130 and 143 interrupted; 1 anything else.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from darts_pl import plugins, run_folder
from darts_pl.command_line import config_folder, expand_paths, prepared, user_message
from darts_pl.config import old_keys, parse_config, upgrade_arguments, upgrade_keys
from darts_pl.errors import UserError
from darts_pl.interruption import Interrupted, handling_signals
from darts_pl.launcher_environment import is_first
from darts_pl.run_folder import Refused
from darts_pl.sweeps import ClaimSweepFolder, all_failed, register_sweeper, report_sweep, run_in_sweep

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
        of_jobs = report_sweep(
            ClaimSweepFolder.folder, ClaimSweepFolder.lost, show_traceback, ClaimSweepFolder.answered
        )
        return status or of_jobs
    finally:
        run_folder.end_claim(refused=status == 2)
        ClaimSweepFolder.end(refused=status == 2)


def _status(argv: Sequence[str] | None, show_traceback: bool) -> int:
    """Run a command line, print what went wrong, and return the exit status without that of a sweep's jobs."""
    run_folder.register_resolver()
    plugins.register_plugin_folders()
    register_sweeper()
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
        if ClaimSweepFolder.answered is None and all_failed(ClaimSweepFolder.folder):
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
    if interruption.decisions is not None:
        lines.append(f"the decisions so far are in {interruption.decisions}")
    if len(lines) > 1 and ClaimSweepFolder.folder is None:  # a sweep's report says so
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
        from darts_pl.tasks import run_task  # imported here so that --help and tab completion stay quick

        plugins.load_plugins()
        plugins.import_modules(plugins.modules_of(config.imports))
        config = _in_new_words(config)
        expand_paths(config)
        typed = parse_config(config)
        return run_task(typed, config)
    except Interrupted as interruption:
        interruption.last, interruption.decisions = run_folder.newest_checkpoint(), run_folder.newest_decisions()
        interruption.remedy = run_folder.how_to_continue()
        raise


def _in_new_words(config: DictConfig) -> DictConfig:
    """The configuration with keys of earlier versions, from a user's own YAML files, under their new names."""
    values = OmegaConf.to_container(config, resolve=False)
    assert isinstance(values, dict)
    lines = old_keys({str(name): value for name, value in values.items()})
    if not lines:
        return config
    _say_renamed(lines)
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    return OmegaConf.create(upgrade_keys(resolved))


def _say_renamed(lines: Sequence[str]) -> None:
    if is_first():
        for line in dict.fromkeys(lines):
            print(line, file=sys.stderr)


def _quoted(argument: str) -> str:
    """A genotype's text of NAS-Bench-201 in the quotes that Hydra's grammar needs around its characters."""
    key, _, value = argument.partition("=")
    return f"{key}='{value}'" if key == "genotype" and value.startswith("|") and "'" not in value else argument


@contextmanager
def _arguments(argv: Sequence[str] | None) -> Iterator[None]:
    before = sys.argv
    arguments, renamed = upgrade_arguments(list(map(_quoted, before[1:] if argv is None else argv)))
    _say_renamed(renamed)
    sys.argv = [before[0], *prepared(arguments)]
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
