"""What a search without gradients leaves beside its best genotype: the ranking, and numbers over all its answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from darts_pl import atomic
from darts_pl.records.folder import Summary
from darts_pl.report.statistics import statistics_of, wilson
from darts_pl.strategies import Encoding
from darts_pl.strategies.race import Row

#: File in the run's folder with a row per genotype, the best first.
RANKING = "ranking.csv"
#: Columns of the file; empty where the evaluator does not say it.
COLUMNS = ("genotype", "score", "epochs", "parameters", "multiply_adds", "seconds")
#: What evaluations cost, as their facts call it.
COSTS = ("steps", "images", "words")


def write_ranking(history: Sequence[Row], encoding: Encoding, folder: Path) -> None:
    """Write `ranking.csv`: every genotype that has a score once per number of epochs, those with the most epochs
    first, and the best score first among these."""
    rows: dict[tuple[object, ...], Row] = {}
    for row in history:
        if row["scores"] is not None:
            rows.setdefault((*row["integers"], row["epochs"]), row)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in sorted(rows.values(), key=lambda row: (-(row["epochs"] or 0), -row["scores"][0], row["number"])):
        facts = row.get("facts", {})
        genotype = str(encoding.decode(row["integers"]))
        rest = (facts.get(name) for name in COLUMNS[3:])
        table.writerow([genotype, row["scores"][0], row["epochs"] or facts.get("epochs"), *rest])
    atomic.write(folder / RANKING, text.getvalue())


def score_summary(history: Sequence[Row], best: Row) -> Summary:
    """The best score's interval, mean and standard deviation over the answers, sizes of the best network, and costs.

    The interval is Wilson's of 95 % for an accuracy on the valid split. It holds for one genotype that was chosen
    beforehand; the best of many scores is too high on average. Mean and standard deviation are over different
    genotypes, with as many epochs as the best one has.
    """
    facts = best.get("facts", {})
    summary: Summary = {name: facts[name] for name in ("parameters", "multiply_adds") if facts.get(name) is not None}
    count = facts.get("valid_samples")
    if count and 0 <= best["scores"][0] <= 1:
        low, high = wilson(round(best["scores"][0] * count), count)
        summary |= {"strategy/score_low": low, "strategy/score_high": high, "valid_samples": count}
    summary |= {name: value for name, value in facts.items() if "perplexity" in name}
    scores = {
        tuple(row["integers"]): row["scores"][0]
        for row in history
        if row["scores"] is not None and row["epochs"] == best["epochs"]
    }
    over = statistics_of(list(scores.values()))
    summary |= {"strategy/score_mean": over.mean, "strategy/genotypes": over.n}
    if over.std is not None:
        summary["strategy/score_std"] = over.std
    new = [row.get("facts", {}) for row in history if not row["repeated"]]
    for name in COSTS:
        if any(name in one for one in new):
            summary[name] = sum(one.get(name) or 0 for one in new)
    return summary
