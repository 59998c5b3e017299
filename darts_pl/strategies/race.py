"""One strategy, one evaluator, one budget: ask, evaluate, tell, until the budget is used up."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records.run_identity import difference
from darts_pl.settings import above, at_least, or_null, setting
from darts_pl.strategies.evaluators import CachedEvaluator, Evaluation
from darts_pl.strategies.strategy import Question, Strategy

HISTORY = "history.jsonl"
STATE = "strategy.json"

#: What every row of a history has.
_FIELDS = {"number", "integers", "epochs", "scores", "failure", "cost", "simulated_seconds", "seconds"}

#: One question with its answer and what was spent up to it; the fields are named in `race`.
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a search may spend; the first that is used up ends it. A search needs at least one limit."""

    evaluations: int | None = setting("questions, repeated ones included", or_null(at_least(1), "any number"))
    simulated_seconds: float | None = setting(
        "simulated seconds of the evaluations; the one that exceeds them counts", or_null(above(0), "any time")
    )
    seconds: float | None = setting(
        "seconds of wall-clock time, with those of earlier runs and of training shared weights",
        or_null(above(0), "any time"),
    )

    @property
    def has_limit(self) -> bool:
        """Whether there is a limit."""
        return any(getattr(self, one.name) is not None for one in fields(self))

    def require_limit(self) -> None:
        """Raise UserError if there is no limit: the search would never end."""
        if not self.has_limit:
            names = ", ".join(f"budget.{one.name}" for one in fields(self))
            raise UserError(f"budget: a search needs a limit; give at least one of {names}")

    def refuse_simulation(self) -> None:
        """Raise UserError if a limit is in simulated seconds; for evaluators that simulate none."""
        if self.simulated_seconds is not None:
            raise UserError(
                f"budget.simulated_seconds={self.simulated_seconds}: this evaluator simulates no time; "
                "use budget.evaluations or budget.seconds"
            )

    def is_used_up(self, history: Sequence[Row]) -> bool:
        """Whether the last row of a history has reached one of the limits."""
        last = history[-1] if history else {"evaluations": 0, "simulated_seconds": 0.0, "seconds": 0.0}
        limits = ((getattr(self, one.name), last[one.name]) for one in fields(self))
        return any(limit is not None and spent >= limit for limit, spent in limits)


def race(
    strategy: Strategy,
    evaluator: CachedEvaluator,
    budget: Budget,
    folder: Path | None = None,
    *,
    batch: int = 1,
    identity: Mapping[str, Any] | None = None,
    on_row: Callable[[Row], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    spent: float = 0.0,
) -> list[Row]:
    """The history of a search: a row per question, in the order asked.

    A row holds the question's `number`, `integers` and `epochs`; its `scores` (None for a failure), the
    `failure`, whether it was `repeated`; its `cost` in simulated seconds; and what was spent up to and
    including it: `evaluations`, `simulated_seconds`, `seconds`. Where the evaluator gives other `facts`, these too, and
    where several questions are open at once, how many were `asked` before its answer.

    Args:
        strategy: newly built; it first receives the answers of the history in `folder`.
        evaluator: scores the questions.
        budget: what may be spent in all.
        folder: where `history.jsonl` grows by a row per answer, and `strategy.json` holds the state
            after the last one; a stopped search is continued from there. None = in memory only.
        batch: how many questions are asked before the first of them is answered. The answers are given in the order
            of the questions; an evaluator that takes several at once may find them in parallel.
        identity: by dotted key what determines the search, as values that JSON holds; it is kept with the
            state, and a folder with another one is refused. None = not checked.
        on_row: called with every row, those of an earlier run first.
        clock: seconds.
        spent: seconds that were spent before the first question. Even where they use up the budget, one question is
            asked, so that what was prepared has a result.

    Raises:
        UserError: if the budget has no limit, the folder's history or state is damaged or is that of another search,
            the budget is in simulated seconds and the evaluator simulates none, or it is in nothing else and repeated
            questions cost nothing.
    """
    budget.require_limit()
    if not evaluator.charge_repeats and not replace(budget, simulated_seconds=None).has_limit:
        raise UserError(
            f"budget.simulated_seconds={budget.simulated_seconds}: repeated questions cost nothing, so the search may "
            "never end; use CachedEvaluator(..., charge_repeats=True), or give another limit as well"
        )
    history = [] if folder is None else _resume(strategy, evaluator, folder, identity)
    if on_row is not None:
        for row in history:
            on_row(row)
    start = clock() - (history[-1]["seconds"] if history else spent)
    while not budget.is_used_up(history):
        questions = strategy.open_questions() or [strategy.ask() for _ in range(_open(budget, history, batch))]
        for question, evaluation in zip(questions, evaluator.many(questions), strict=True):
            if evaluation.simulated_seconds <= 0 and evaluation.scores and not evaluation.repeated:
                budget.refuse_simulation()
            strategy.tell(question, evaluation.scores)
            row = _row(question, evaluation, history, clock() - start)
            if batch > 1:
                row["asked"] = strategy.asked
            history.append(row)
            if folder is not None:
                _save(strategy, row, folder, identity)
            if on_row is not None:
                on_row(row)
    return history


def best_row(history: Sequence[Row]) -> Row | None:
    """The row with the best first score among those with the most epochs; None if all failed."""
    finished = [row for row in history if row["scores"] is not None]
    return max(finished, key=lambda row: (row["epochs"] or 0, row["scores"][0], -row["number"]), default=None)


def _open(budget: Budget, history: Sequence[Row], batch: int) -> int:
    """How many questions the next batch has."""
    return batch if budget.evaluations is None else min(batch, budget.evaluations - len(history))


def _row(question: Question, evaluation: Evaluation, history: Sequence[Row], seconds: float) -> Row:
    before = history[-1]["simulated_seconds"] if history else 0.0
    row: Row = {
        "number": question.number,
        "integers": list(question.integers),
        "epochs": question.epochs,
        "scores": None if evaluation.scores is None else list(evaluation.scores),
        "failure": evaluation.failure,
        "repeated": evaluation.repeated,
        "cost": evaluation.simulated_seconds,
        "evaluations": len(history) + 1,
        "simulated_seconds": before + evaluation.simulated_seconds,
        "seconds": seconds,
    }
    return {**row, "facts": dict(evaluation.facts)} if evaluation.facts else row


def _save(strategy: Strategy, row: Row, folder: Path, identity: Mapping[str, Any] | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / HISTORY).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    state = {"identity": None if identity is None else dict(identity), **strategy.state_dict()}
    atomic.write(folder / STATE, json.dumps(state, allow_nan=False))


def _resume(
    strategy: Strategy, evaluator: CachedEvaluator, folder: Path, identity: Mapping[str, Any] | None
) -> list[Row]:
    """The rows of an earlier run, after which the strategy and the cache are as they were at its end.

    The state covers all rows or all but the last few. The strategy receives the answers of the other rows
    again, and those of all rows where there is no state.
    """
    history = _read(folder / HISTORY)
    state = _read_state(folder / STATE)
    if state is not None:
        other = difference(state.get("identity") or {}, identity) if identity is not None else None
        if other is not None:
            raise UserError(f"{folder}: the search there has {other}; use another folder")
        if state["seed"] != strategy.seed:
            raise UserError(f"{folder}: the search there has seed={state['seed']}, not {strategy.seed}")
        if state["told"] <= len(history):
            strategy.load_state_dict(state)
    for row in history[strategy.told :]:
        while strategy.asked < row.get("asked", row["number"] + 1):
            strategy.ask()
        question = strategy.open_questions()[0]
        if list(question.integers) != row["integers"] or question.epochs != row["epochs"]:
            raise UserError(f"{folder / HISTORY}: row {row['number']} is not of this strategy; use another folder")
        strategy.tell(question, row["scores"])
    for row in history:
        scores = None if row["scores"] is None else tuple(row["scores"])
        question = Question(strategy.encoding.decode(row["integers"]), tuple(row["integers"]), row["epochs"])
        evaluator.remember(question, Evaluation(scores, row["cost"], row["failure"], facts=row.get("facts", {})))
    return history


def _read(path: Path) -> list[Row]:
    """The whole rows of a history; a last line that was cut off is removed from the file."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        del lines[-1]
        atomic.write(path, "".join(lines))
    try:
        rows = [json.loads(line) for line in lines]
    except ValueError:
        rows = [None]
    if not all(isinstance(row, dict) and row.keys() >= _FIELDS for row in rows):
        raise UserError(f"{path} is damaged; delete the folder to start the search again")
    return rows


def _read_state(path: Path) -> dict[str, Any] | None:
    """The state after the last rows of a history; None if there is none."""
    if not path.exists():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        state = None
    if not isinstance(state, dict) or not state.keys() >= {"seed", "told", "own"}:
        raise UserError(f"{path} is damaged; delete this file to continue from {HISTORY} alone")
    return state
