"""Running the parts of a stage: each in a folder of its own, by one process at a time, and never twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from darts_pl import atomic
from darts_pl.config import parse_config
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.records import CONFIG, RunFolder, read_configuration
from darts_pl.records.claims.lock import lock_folder
from darts_pl.records.configuration import CHOICES, OVERRIDES
from darts_pl.records.job_record import read_summary
from darts_pl.records.run_identity import difference, settings_of
from darts_pl.tasks.declarations.sections import PARTS
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.protocol.plan import SHARED, Part, Plan
from darts_pl.tasks.protocol.settings import CHOICE, DERIVE, FINAL, SEARCH

#: Seconds between two looks at what other processes are doing.
PAUSE = 2.0

_OF_A_SEARCH = ("seed", "search", *PARTS, "order", "select", "data")
#: By stage, the keys of the configuration that determine the result.
_IDENTITY = {
    SEARCH: _OF_A_SEARCH,
    DERIVE: _OF_A_SEARCH,
    CHOICE: ("seed", "train", "data", "genotype"),
    FINAL: ("seed", "train", "data", "genotype"),
}


def run_parts(plan: Plan, parts: Sequence[Part], run: Callable[[Part], None], *, wait: bool) -> None:
    """Run the parts that are not finished, each in its turn. A part on which another process works is left to that
    process; should it stop, this one continues.

    Args:
        plan: of the protocol.
        parts: of one stage.
        run: runs one part.
        wait: whether to wait until other processes have finished their parts.
    """
    told = False
    while True:
        busy = [part for part in parts if not _run_if_free(part, run)]
        if not busy or not wait:
            return
        if not told:
            print(f"protocol: waiting for {len(busy)} {busy[0].stage} parts of other processes", flush=True)
            told = True
        time.sleep(PAUSE)


def _run_if_free(part: Part, run: Callable[[Part], None]) -> bool:
    """Run a part unless it is finished; False where another process works on it."""
    if read_summary(part.folder) is not None:
        return True
    part.folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(part.folder)
    if lock is None:
        return False
    try:
        if read_summary(part.folder) is None:  # another process may have finished it in between
            print(f"protocol: {part.stage} {part.row} {part.number}, seed {part.seed}: {part.folder}", flush=True)
            run(part)
    finally:
        lock.release()
    return True


def context_of(plan: Plan, part: Part, genotype: Genotype | None = None) -> Context:
    """Configuration and folder of a part, whose `.hydra` says how it is run.

    Args:
        plan: of the protocol.
        part: of the plan.
        genotype: what is trained.
    """
    resolved = plan.resolved_of(part, genotype)
    folder = RunFolder(part.folder)
    if not (part.folder / CONFIG).is_file():
        _write_hydra(part, resolved)
    resolved["resume"] = folder.checkpoint.is_file() or folder.previous_checkpoint.is_file()
    return Context(parse_config(OmegaConf.create(resolved)), resolved, folder, plan.said, plan.folder.name)


def check_parts(plan: Plan, stages: Sequence[str]) -> None:
    """Refuse a folder with parts that were made with other settings.

    Args:
        plan: of the protocol.
        stages: whose parts are looked at.
    """
    for stage in stages:
        for part in plan.parts(stage):
            check_part(plan, part, None)


def check_part(plan: Plan, part: Part, genotype: Genotype | None) -> None:
    """Refuse a part that was made with other settings.

    Args:
        plan: of the protocol.
        part: of the plan.
        genotype: what is trained there; None = what was trained there is not compared.

    Raises:
        UserError: which names the first setting that differs.
    """
    if not (part.folder / CONFIG).is_file():
        return
    stored, now = read_configuration(part.folder) or {}, plan.resolved_of(part, genotype)
    if genotype is None:
        stored, now = ({key: value for key, value in one.items() if key != "genotype"} for one in (stored, now))
    found = difference(_identity(part, stored), _identity(part, now))
    if found is not None:
        raise UserError(
            f"{part.folder}: was made with {found:.300}; repeat its settings, choose another folder, or move this away"
        )


def _identity(part: Part, resolved: Mapping[str, Any]) -> dict[str, Any]:
    of_strategy = ("strategy", "evaluator", "budget") if resolved["task"]["name"] == "strategy" else ()
    keys = [key for key in (*_IDENTITY[part.stage], *of_strategy) if key in resolved]
    found = settings_of(resolved, *keys)
    if part.stage == CHOICE:
        found["search.train_portion"] = resolved["search"].get("train_portion")
        found |= {f"data.{key}": resolved["data"].get(key) for key in ("split", "split_seed")}
    return found


def _write_hydra(part: Part, resolved: Mapping[str, Any]) -> None:
    """What Hydra writes for a command, so that other tasks read the part as they read any run. Beside the overrides of
    the command it has those that tell parts apart, and the row."""
    hydra = HydraConfig.get()
    choices = {group: choice for group, choice in hydra.runtime.choices.items() if not group.startswith("hydra/")}
    choices["task"] = resolved["task"]["name"]
    given = [one for one in hydra.overrides.task if not one.lstrip("+").startswith(("task", "seed=", "resume="))]
    overrides = [f"task={choices['task']}", *given, f"seed={part.seed}"]
    if part.stage == SEARCH and resolved["task"]["name"] == "strategy":
        overrides.append(f"strategy={part.row.removesuffix(SHARED)}")
    if part.stage == DERIVE:
        overrides.append(f"select={part.row}")
    if part.stage in (CHOICE, FINAL):
        overrides += [f"train.epochs={resolved['train']['epochs']}", f"row={part.row}"]
    _write_yaml(part.folder / CHOICES, {"hydra": {"runtime": {"choices": choices}}})
    _write_yaml(part.folder / OVERRIDES, overrides)
    _write_yaml(part.folder / CONFIG, dict(resolved))


def _write_yaml(path: Path, values: Any) -> None:
    atomic.write(path, OmegaConf.to_yaml(OmegaConf.create(values)))
