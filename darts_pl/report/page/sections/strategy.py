"""Searches without gradients: the best score so far against the budget, and the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from darts_pl.report.page.blocks import Block, Curves, Paragraph, Series, Table
from darts_pl.report.page.run_files import RunFiles
from darts_pl.report.page.sections.registry import Report, section

Rows = Sequence[Mapping[str, Any]]
#: What a genotype costs, as facts or columns call it, with the label of an axis.
COSTS = (("parameters", "parameters"), ("multiply_adds", "multiply-adds"), ("latency_ms", "latency in milliseconds"))
MOST_RANKED = 30


@section("strategy", "The search without gradients")
def strategy(report: Report) -> Sequence[Block]:
    """Best so far against evaluations, simulated time and time; cost against score; the best genotypes."""
    runs = [(name, run) for name, run in (report.compared or [("", report.run)]) if run.history]
    if not runs:
        return []
    blocks: list[Block] = [Paragraph(text)] if (text := _scored_by(runs[0][1])) else []
    blocks += [_best(runs, "evaluations", "Best score so far", "evaluations", lambda row: row["evaluations"])]
    for key, label in (("simulated_seconds", "simulated hours"), ("seconds", "hours")):
        if all(run.history[-1][key] >= 60 for _, run in runs):
            blocks.append(_best(runs, key, f"Best score so far, {label}", label, lambda row, key=key: row[key] / 3600))
    if not report.compared:
        blocks += _fronts(report.run)
        blocks += _ranked(report.run)
    return blocks


def _scored_by(run: RunFiles) -> str:
    """What a score is, for the evaluators of this program; "" for any other."""
    epochs = run.setting("evaluator.epochs")
    measure = "the accuracy, or minus the perplexity of a text,"
    known = {
        "table": f"The score is the validation accuracy, in percent, that the table has after {epochs} epochs.",
        "train": f"The score is {measure} on the valid split after a training.",
        "shared_weights": f"The score is {measure} on the valid split with the weights of a supernet.",
        "zero_cost": f"The score is {run.setting('evaluator.score')}, computed without a training.",
    }
    return known.get(str(run.setting("evaluator.name")), "")


def _best(
    runs: Sequence[tuple[str, RunFiles]], name: str, title: str, label: str, place: Callable[..., float]
) -> Curves:
    series = []
    for key, run in runs:
        x, y, best, points = [], [], None, []
        for row in run.history:
            score = None if row["scores"] is None else float(row["scores"][0])
            best = score if best is None or (score is not None and score > best) else best
            x.append(place(row))
            y.append(best)
            points.append(score)
        series.append(Series(key or "best so far", x, y, style="steps"))
        if len(runs) == 1:
            series.append(Series("one genotype", x, points, style="points"))
    return Curves(f"strategy_{name}", title, label, "score", series)


def _fronts(run: RunFiles) -> Iterator[Block]:
    """Score against each cost, with the genotypes that no other one beats in both."""
    scored = [row for row in run.history if row["scores"] is not None]
    for key, label in COSTS:
        pairs = [
            (float((row.get("facts") or {})[key]), float(row["scores"][0]))
            for row in scored
            if (row.get("facts") or {}).get(key) is not None
        ]
        if len({cost for cost, _ in pairs}) < 2:
            continue
        front = pareto(pairs)
        yield Curves(
            f"pareto_{key}", f"Pareto front: score against {label}", label, "score",
            [
                Series("genotypes", [cost for cost, _ in pairs], [score for _, score in pairs], style="points"),
                Series("Pareto front", [cost for cost, _ in front], [score for _, score in front], style="steps"),
            ],
        )  # fmt: skip


def pareto(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, score) pairs that no other pair beats: lower cost and higher score; by cost."""
    front: list[tuple[float, float]] = []
    for cost, score in sorted(pairs, key=lambda pair: (pair[0], -pair[1])):
        if not front or score > front[-1][1]:
            front.append((cost, score))
    return front


def _ranked(run: RunFiles) -> Iterator[Block]:
    if not run.ranking:
        return
    used = [name for name in run.ranking[0] if any(row.get(name) for row in run.ranking)]
    used = [*(name for name in used if name != "genotype"), "genotype"]
    rows = [[_value(row.get(name)) for name in used] for row in run.ranking[:MOST_RANKED]]
    title = f"The best {len(rows)} of {len(run.ranking)} genotypes"
    yield Table([name.replace("_", " ") for name in used], rows, title, folded=True)


def _value(text: str | None) -> str | float | int | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number
