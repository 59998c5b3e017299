"""Genotypes whose scores after a training are known, from a table or a file."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.spaces import SPACES, SearchSpace
from darts_pl.tasks.retrain import find_genotype

#: Columns of a file with known scores.
COLUMNS = ("genotype", "score")


@dataclass(frozen=True)
class Known:
    """Genotypes with their scores, and what the scores are called."""

    genotypes: Sequence[Genotype]
    scores: np.ndarray
    name: str


def known_scores(settings: Any, space_name: str, cells: SearchSpace, seed: int, source: str) -> Known:
    """The genotypes of a comparison with their scores: those of `task.scores`, or uniform draws from the table.

    Args:
        settings: of task=correlate.
        space_name: of the space, whose table is read.
        cells: what is drawn from.
        seed: of the draws.
        source: what the command gives, for messages, such as "run=FOLDER".

    Raises:
        UserError: if the file is not readable, or there is no table with such genotypes.
    """
    if settings.scores is not None:
        return _read_csv(Path(settings.scores))
    space = SPACES.get(space_name)
    if space.table is None:
        raise UserError(
            f"{source}: there is no table of {space.adjective} genotypes; give task.scores=FILE.csv, "
            "with the columns genotype and score"
        )
    generator, table = random.Random(seed), space.table
    drawn = [space.draw(cells, generator) for _ in range(settings.genotypes)]
    if not table.covers(drawn[0]):
        raise UserError(f"{source}: the table does not have cells of this size, such as {drawn[0]}")
    scores = np.array([table.score(genotype, settings.by) for genotype in drawn])
    return Known(drawn, scores, f"{settings.by or table.main} of the table")


def _read_csv(path: Path) -> Known:
    """The rows of a file; a genotype is anything that ``genotype=`` takes, such as a text or a number of a table."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"task.scores={path}: not readable ({type(error).__name__})") from None
    if len(rows) < 3 or not set(COLUMNS) <= set(rows[0]):
        raise UserError(f"task.scores={path}: must have the columns genotype and score, and 3 rows or more")
    genotypes, scores = [], []
    for number, row in enumerate(rows, start=2):
        try:
            genotypes.append(find_genotype(row["genotype"]))
            scores.append(_finite(row["score"]))
        except UserError as error:
            raise UserError(f"task.scores={path}, line {number}: {error}") from None
    return Known(genotypes, np.array(scores), f"score of {path.name}")


def _finite(text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"score {text!r}: must be a number")
    return value
