"""Which files in a folder belong to a run or a sweep; all others are the user's and are never touched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

#: What Hydra writes into the folder before a task begins.
HYDRA = ".hydra"
#: What task=protocol writes beside the folders of its stages.
PROTOCOL, STAGES = "protocol.json", ("searches", "derived", "choice", "final")
#: The page of a run's folder, and its first line, which distinguishes it from a page that the user wrote.
README, README_MARK = "README.md", "<!-- written by darts_pl, which replaces it when the run goes on -->"
#: Files that runs write into their folder.
FILES = (
    *(
        "summary.json",
        "warnings.json",
        "genotype.json",
        "genotypes.jsonl",
        "alphas.npz",
        "metrics.csv",
        "job.json",
        "report.html",
    ),
    *("run.json", "throughput.csv", "test.npz"),
    *("cells.png", "cells.svg", "runs.csv", "runs.md", "network.onnx", "network.pt2"),
    *("time_budget.json",),
    *("history.jsonl", "strategy.json", "ranking.csv", "pareto.csv", "evaluation.json"),
    *("network.json", "network.py", "network.pt", "predictions.csv"),
    *(
        "data.json",
        "selection.json",
        "tuned.pt",
        "latency.json",
        "scores.csv",
        "initial_scores.json",
        "scores.json",
        "scatter.png",
        "scatter.svg",
    ),
    *(PROTOCOL, "table.md", "table.csv", "rows.json"),
)
CHECKPOINTS = ("last.ckpt", "previous.ckpt", "taken.ckpt", ".writing.last.ckpt")
#: Folders that loggers fill, and what task=export format=folder writes.
FOLDERS = ("wandb", "tensorboard", "mlflow", "comet", "network")
#: Folders of the parts of a run, each with the files of a run.
PARTS = ("search", "retrain", "random", "shared_weights", "compare")
#: Folder of the trainings of a search without gradients, each with the files of a run.
SAMPLES = "samples"
#: The same for the second random cell of a run, and further ones.
_FURTHER = re.compile(r"random_\d+")
#: What a sweep writes beside the folders of its jobs.
SWEEP = (".jobs", ".submitit", "multirun.yaml", "optimization_results.yaml")
#: Where a replaced run is kept until the run that replaces it has written something.
REPLACED = ".replaced"

#: Checkpoints of earlier epochs, to which an observer may go back.
_EPOCH = re.compile(r"epoch_\d+\.ckpt")
_UNFINISHED = re.compile(r"\.\d+\.(.+)")  # what `atomic` leaves where the process was killed


def run_paths(folder: Path) -> Iterator[Path]:
    """Files and folders that a run wrote into `folder`, but for those of Hydra."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        unfinished = _UNFINISHED.fullmatch(path.name)
        if path.name in (*FILES, *FOLDERS) or (unfinished and unfinished.group(1) in FILES):
            yield path
        if path.name == README and is_ours(path):
            yield path
    yield from (path for name in CHECKPOINTS if (path := folder / "checkpoints" / name).exists())
    if (folder / "checkpoints").is_dir():
        yield from (path for path in sorted((folder / "checkpoints").iterdir()) if _EPOCH.fullmatch(path.name))
    further = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and _FURTHER.fullmatch(path.name)]
    for part in (*PARTS, *further):
        yield from run_paths(folder / part)
    for sample in sorted((folder / SAMPLES).glob("*")):
        yield from run_paths(sample)
    if (folder / PROTOCOL).is_file():
        yield from (path for stage in STAGES if (path := folder / stage).is_dir())


def is_ours(readme: Path) -> bool:
    """Whether a run wrote that README.md."""
    try:
        with readme.open(encoding="utf-8") as file:
            return file.readline().rstrip("\n") == README_MARK
    except (OSError, UnicodeDecodeError):
        return False


def sweep_paths(folder: Path) -> Iterator[Path]:
    """Files and folders that a sweep wrote into `folder`: its own, and those of its jobs."""
    if not folder.is_dir():
        return
    yield from (path for name in SWEEP if (path := folder / name).exists())
    for child in sorted(folder.iterdir()):
        if child.is_dir() and (child / "job.json").is_file():
            yield from run_paths(child)
            yield from (path for path in [child / HYDRA] if path.exists())


def holds_run(folder: Path) -> bool:
    """Whether a run wrote anything into `folder`. Hydra's files alone are what a refused command leaves."""
    return next(run_paths(folder), None) is not None


def holds_sweep(folder: Path) -> bool:
    """Whether a job of a sweep began in `folder`."""
    return next(sweep_paths(folder), None) is not None


def misplaced(folder: Path) -> Path | None:
    """A file where a run needs a folder, or a folder where it writes a file; None if there is none."""
    for name in (HYDRA, "checkpoints", SAMPLES, *FOLDERS, *PARTS):
        if (path := folder / name).exists() and not path.is_dir():
            return path
    return next((path for name in FILES if (path := folder / name).is_dir()), None)


def move_aside(folder: Path) -> None:
    """Move all that a run or a sweep wrote into `folder` to its subfolder ``.replaced``."""
    hydra = [folder / HYDRA] if (folder / HYDRA).exists() else []
    for path in [*run_paths(folder), *sweep_paths(folder), *hydra]:
        target = folder / REPLACED / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        _remove_empty_parents(path, folder)


def bring_back(folder: Path) -> None:
    """Undo `move_aside`."""
    aside = folder / REPLACED
    if aside.is_dir():
        shutil.rmtree(folder / HYDRA, ignore_errors=True)
        _merge(aside, folder)


def discard(folder: Path) -> None:
    """Delete what `move_aside` moved."""
    shutil.rmtree(folder / REPLACED, ignore_errors=True)


def finish_replacement(folder: Path) -> None:
    """End a replacement: it is undone if nothing was written into `folder` since, else the old files are deleted."""
    if (folder / REPLACED).is_dir():
        (discard if holds_run(folder) or holds_sweep(folder) else bring_back)(folder)


def make_folder(folder: Path, *, new: bool) -> list[Path]:
    """Make `folder` and its missing parents; returns those that were made, the innermost first.

    Args:
        folder: to be made.
        new: whether it must not exist yet.

    Raises:
        OSError: if it cannot be made; FileExistsError also where it exists and must not.
    """
    missing = [path for path in [folder, *folder.parents] if not path.exists()]
    for parent in reversed(missing[1:]):
        parent.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=not new)
    return missing


def remove_made(made: Sequence[Path]) -> None:
    """Remove folders that `make_folder` made, as far as they are empty."""
    for path in made:
        try:
            path.rmdir()
        except OSError:
            return


def _merge(source: Path, target: Path) -> None:
    for path in sorted(source.iterdir()):
        place = target / path.name
        if path.is_dir() and place.is_dir():
            _merge(path, place)
        else:
            os.replace(path, place)
    source.rmdir()


def _remove_empty_parents(path: Path, folder: Path) -> None:
    for parent in path.parents:
        if parent == folder or any(parent.iterdir()):
            return
        parent.rmdir()
