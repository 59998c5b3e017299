"""What a search without gradients tells while it runs: `metrics.csv`, the loggers, and lines on screen."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence

from pytorch_lightning.loggers import Logger

from darts_pl import atomic
from darts_pl.callbacks.screen.durations import duration
from darts_pl.records import RunFolder
from darts_pl.strategies import Budget, best_row
from darts_pl.strategies.race import HISTORY, Row

#: Columns of `metrics.csv`: what was spent, the score of the question, and the best score so far.
COLUMNS = ("evaluations", "simulated_seconds", "seconds", "strategy/score", "strategy/best_score")

#: Seconds between two writes of `metrics.csv`.
WRITE_SECONDS = 5.0
#: Seconds between two lines on screen, at least.
LINE_SECONDS = 1.0


class StrategyProgress:
    """Is given every row of a history, those of an earlier run first, and passes the new ones on.

    Args:
        budget: of the search.
        title: what the lines on screen call it.
        folder: of the run; its history, as far as there is one, is that of an earlier run.
        loggers: beside `metrics.csv`; they get the same numbers, with the number of evaluations as the step.
    """

    def __init__(self, budget: Budget, title: str, folder: RunFolder, loggers: Sequence[Logger]) -> None:
        self.budget, self.title, self.folder, self.loggers = budget, title, folder, loggers
        self.rows: list[Row] = []
        #: seconds of the rows that were spent before the first question
        self.prepared = 0.0
        self._best: list[Row | None] = []
        history = folder.path / HISTORY
        self._earlier = history.read_text(encoding="utf-8").count("\n") if history.is_file() else 0
        self._written = self._shown = time.monotonic()

    def __call__(self, row: Row) -> None:
        best = self._best[-1] if self._best else None
        self.rows.append(row)
        self._best.append(best_row([row] if best is None else [best, row]))
        if len(self.rows) <= self._earlier:
            return
        numbers = dict(zip(COLUMNS, self._numbers(len(self.rows) - 1), strict=True))
        for logger in self.loggers:
            logger.log_metrics(
                {name: float(value) for name, value in numbers.items() if value is not None}, len(self.rows)
            )
        now = time.monotonic()
        if now - self._shown >= LINE_SECONDS:
            print(self._line(numbers), flush=True)
            self._shown = now
        if now - self._written >= WRITE_SECONDS:
            self.write()
            self._written = now

    def write(self) -> None:
        """Write `metrics.csv`, one row per question; the scores of a failure are left empty."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(self._numbers(index) for index in range(len(self.rows)))
        atomic.write(self.folder.metrics, text.getvalue())

    def _numbers(self, index: int) -> list[float | None]:
        row, best = self.rows[index], self._best[index]
        scores = [None if one is None or one["scores"] is None else one["scores"][0] for one in (row, best)]
        return [row["evaluations"], row["simulated_seconds"], row["seconds"], *scores]

    def _line(self, numbers: dict[str, float | None]) -> str:
        row, limit = self.rows[-1], self.budget.evaluations
        score, best = numbers["strategy/score"], numbers["strategy/best_score"]
        shown = f"failed: {row['failure']}" if score is None else f"score {score:.4f}"
        each = (row["seconds"] - self.prepared) / row["evaluations"]
        parts = [
            f"{self.title} {row['evaluations']}{'' if limit is None else f'/{limit}'}  {shown}",
            "" if best is None else f"best {best:.4f}",
            f"{each:.1f} s/genotype",
        ]
        line = "  ".join(part for part in parts if part)
        if limit is None or row["evaluations"] >= limit:
            return line
        return f"{line}, {duration(each * (limit - row['evaluations']))} left"
