"""The stages of a protocol, and its tables."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.modules.running import DivergedError
from darts_pl.problems import Problem, build_search, open_problem
from darts_pl.records.folder import Summary
from darts_pl.report import save_cells
from darts_pl.report.protocol_rows import Measure, ProtocolRow, rows_from_json, rows_to_json
from darts_pl.report.protocol_table import protocol_csv, protocol_markdown
from darts_pl.report.statistics import statistics_of
from darts_pl.runs import build_loggers, log_csv, log_summary
from darts_pl.runs.processes import strategy_of
from darts_pl.tasks.derive import derive
from darts_pl.tasks.evaluation.path_training import refuse_stages
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.short_training import train_on_halves
from darts_pl.tasks.protocol.parts import check_part, check_parts, context_of, run_parts
from darts_pl.tasks.protocol.plan import Part, Plan, build_plan
from darts_pl.tasks.protocol.results import chosen_genotype, found_genotype, rows_of
from darts_pl.tasks.protocol.settings import CHOICE, DERIVE, FINAL, SEARCH, STAGES
from darts_pl.tasks.retrain import train_genotype
from darts_pl.tasks.search import search
from darts_pl.tasks.strategy import strategy
from darts_pl.zoo import published

#: The rows of the table, as another protocol reads them.
ROWS = "rows.json"


def protocol(context: Context) -> Summary:
    """Search several times, train what was found for a short time, train the best fully; returns the summary.

    The folder receives a subfolder per search, derivation and training, `table.md` and `table.csv`. Only the stage
    `final` reads the test split. A stopped command that is continued repeats no finished part.

    Raises:
        UserError: if the command does not fit the data or the space, or the folder holds parts of another protocol.
    """
    started, config = time.monotonic(), context.config
    plan = build_plan(context)
    problem = _check(plan)
    task = config.task
    stages = STAGES if task.stage is None else (task.stage,)
    beside = _rows_beside(task.beside)
    check_parts(plan, STAGES)
    _write_plan(plan)
    for stage in stages:
        _run_stage(plan, stage)
    measure = Measure("accuracy" if problem.samples == "images" else "perplexity", problem.samples)
    rows = rows_of(plan, measure)
    every = [*rows, *beside]
    table = protocol_csv(every, measure, task.published)
    for folder in {plan.folder, context.folder.path}:
        atomic.write(folder / ROWS, rows_to_json(rows))
        atomic.write(folder / "table.md", protocol_markdown(every, measure, _title(plan, problem), task.published))
        atomic.write(folder / "table.csv", table)
    summary = _summary(plan, rows[0], measure)
    summary["seconds"] = round(time.monotonic() - started, 3)
    if summary["missing"] == 0:
        genotype = chosen_genotype(plan, plan.rows[0])
        context.folder.write_genotype(genotype)
        save_cells(genotype, context.folder.path)
    context.folder.write_summary(summary)
    loggers = build_loggers(config, context.folder, context.resolved, "protocol", plan.folder.name)
    log_csv(loggers, "protocol/table", table)
    log_summary(loggers, summary)
    print(f"\nprotocol: {plan.folder / 'table.md'}", flush=True)
    return summary


def _run_stage(plan: Plan, stage: str) -> None:
    """Run the parts of a stage, also those that are added because there is time left for more random cells."""
    only = plan.config.task.only
    done: list[Part] = []
    while len(parts := plan.parts(stage)) > len(done):
        mine = [part for part in parts if only is None or part.number in only]
        for part in mine:
            _check_genotype(plan, part)
        run_parts(plan, mine, lambda part: _RUN[part.stage](plan, part), wait=only is None)
        done = parts
    _write_plan(plan)


def _check(plan: Plan) -> Problem:
    """The problem, once everything fits that can be checked before the first search.

    Raises:
        UserError: if something does not.
    """
    config = plan.config
    if strategy_of(config.hardware) != "auto":
        raise UserError(
            "task=protocol: a part runs in one process; use hardware.devices=1, and start the same command several "
            "times with task.folder=FOLDER to run parts side by side"
        )
    problem = open_problem(config)
    for genotype in (plan.random_cell(0), *map(published, config.task.genotypes)):
        problem.check_genotype(genotype)
    module, _ = build_search(config, problem)  # what does not fit is refused before the first search
    if plan.strategies:
        refuse_stages(module, config.stages.name)
    problem.training(plan.random_cell(0), halves=True)
    test = problem.identity().get("test", {})
    if not test.get("count"):
        raise UserError(f"data={config.data.name}: has no test split, which the last stage of task=protocol scores")
    return problem


def _search(plan: Plan, part: Part) -> None:
    run = strategy if part.row in plan.strategies else search
    run(context_of(plan, part))


def _derive(plan: Plan, part: Part) -> None:
    derive(context_of(plan, part))


def _genotype(plan: Plan, part: Part) -> Genotype:
    """What a training trains."""
    return found_genotype(plan, part) if part.stage == CHOICE else chosen_genotype(plan, part.row)


def _check_genotype(plan: Plan, part: Part) -> None:
    """Refuse a training of another cell, from before an earlier stage was changed."""
    if part.stage in (CHOICE, FINAL) and part.folder.is_dir():
        check_part(plan, part, _genotype(plan, part))


def _choose(plan: Plan, part: Part) -> None:
    genotype = _genotype(plan, part)
    context = context_of(plan, part, genotype)
    title = f"choice {part.row} {part.number}"
    try:
        train_on_halves(context, genotype, epochs=context.config.train.epochs, title=title)
    except DivergedError as error:
        reason = " ".join(str(error).split())
        print(f"{title}: {reason}", flush=True)
        context.folder.write_summary(
            {"task": "train_on_halves", "seed": part.seed, "genotype": str(genotype), "score": None, "reason": reason}
        )


def _train(plan: Plan, part: Part) -> None:
    genotype = _genotype(plan, part)
    train_genotype(context_of(plan, part, genotype), genotype, title=f"final {part.row} {part.number}")


_RUN: Mapping[str, Callable[[Plan, Part], None]] = {SEARCH: _search, DERIVE: _derive, CHOICE: _choose, FINAL: _train}


def _write_plan(plan: Plan) -> None:
    """Write `protocol.json`: the rows and how many parts each stage has; it marks the folder as that of a run."""
    counts = {stage: len(plan.parts(stage)) for stage in STAGES}
    text = json.dumps({"rows": plan.rows, "parts": counts}, indent=2) + "\n"
    atomic.write(plan.folder / "protocol.json", text)


def _rows_beside(folders: Sequence[str]) -> list[ProtocolRow]:
    """The rows of other protocols.

    Raises:
        UserError: if a folder is none of a protocol.
    """
    found = []
    for folder in folders:
        try:
            found += rows_from_json((Path(folder).expanduser() / ROWS).read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise UserError(f"task.beside={folder}: not the folder of a protocol, which holds {ROWS}") from None
    return found


def _title(plan: Plan, problem: Problem) -> str:
    config, task = plan.config, plan.config.task
    identity = problem.identity()
    counts = ", ".join(
        f"{identity[split]['count']:,} {split} {problem.samples}" for split in ("train", "test") if split in identity
    )
    return (
        f"data={config.data.name} ({counts}); search={config.search.space}, {config.search.epochs} epochs, "
        f"{task.searches} seeds from {config.seed} on; epochs of a short "
        f"training: {task.choice_epochs}; full trainings per row: {task.finals}, of {config.train.epochs} epochs."
        f"{_SHARED.format(config.search.epochs, task.strategy_evaluations) if task.strategies else ''}"
    )


_SHARED = (
    " A strategy with shared weights trains them for the epochs of a search, {} on the same train split, one path per "
    "step, and chooses among {} genotypes on the valid split."
)


def _summary(plan: Plan, row: ProtocolRow, measure: Measure) -> Summary:
    """The counts of the parts, and the results of the searches' own row."""
    missing = sum(not (part.folder / "summary.json").is_file() for stage in STAGES for part in plan.parts(stage))
    summary: Summary = {
        "task": "protocol",
        "seed": plan.config.seed,
        "data": plan.config.data.name,
        "parts": sum(len(plan.parts(stage)) for stage in STAGES),
        "missing": missing,
    }
    if row.genotype is not None:
        summary["genotype"] = row.genotype
    for name, values in (("choice/valid", row.scores), ("test/", row.finals)):
        if values:
            found = statistics_of(list(values.values()))
            key = f"{name}_{measure.name}" if name.startswith("choice") else f"{name}{measure.name}"
            summary |= {key: found.mean, f"{key}_std": found.std, f"{key}_n": found.n}
    if row.parameters is not None:
        summary["parameters"] = row.parameters
    if row.entropy_fall is not None:
        summary["search/entropy_fall"] = row.entropy_fall
    return summary
