"""What a selection rule decided and why: perturbation, shared weights, limits; and how well shared weights rank."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darts_pl.genotype import KINDS
from darts_pl.report.page.blocks import Block, Curves, Facts, Matrix, Paragraph, Series, Table, Value
from darts_pl.report.page.naming import edge_labels
from darts_pl.report.page.run_files import RunFiles
from darts_pl.report.page.sections.registry import Report, section
from darts_pl.spaces import CellSpace, space_of

_EDGE = re.compile(r"(\w+) edge (\d+)")
_NODE = re.compile(r"(\w+) node (\d+)")
#: Rows of the ranking that are shown.
MOST_RANKED = 30


@section("selection", "How the genotype was chosen")
def selection(report: Report) -> Sequence[Block]:
    """The decisions in the journal of a rule."""
    if report.compared:
        return []
    journal = next((part.selection for _, part in report.run.everything if part.selection), {})
    return [*_perturbation(report.run, journal), *_ranking(journal), *_limits(journal)]


@section("correlation", "Do shared weights rank cells as separate trainings do?")
def correlation(report: Report) -> Sequence[Block]:
    """One point per genotype, and the rank correlations with their intervals."""
    run = report.run
    pairs = [(float(row["shared_weights"]), float(row["score"]), row["genotype"]) for row in run.scores]
    if not pairs:
        return []
    shared, known, names = [pair[0] for pair in pairs], [pair[1] for pair in pairs], [pair[2] for pair in pairs]
    label = str(run.summary.get("compared_with", "score of separate trainings"))
    series = Series("", shared, known, style="points", labels=names)
    plot = Curves("correlation", f"{len(pairs)} genotypes", "score with shared weights", label, [series])
    rows = []
    for name in ("kendall", "spearman", "top_precision"):
        value, low, high = (run.summary.get(f"correlate/{name}{end}") for end in ("", "_low", "_high"))
        if value is not None:
            rows.append((name.replace("_", " "), f"{value:.3f} (95 % interval {low:.3f} to {high:.3f})"))
    return [Facts(rows), plot]


def _perturbation(run: RunFiles, journal: Mapping[str, Any]) -> Iterator[Block]:
    edges = [(found, value) for key, value in journal.items() if (found := _EDGE.fullmatch(key))]
    edges = [(found, value) for found, value in edges if isinstance(value, Mapping) and "removed" in value]
    if not edges:
        return
    rule = (journal.get("settings") or {}).get("rule") or {}
    loss = rule.get("criterion") == "loss" or all(_accuracy(one) is None for one in edges[0][1]["removed"].values())
    yield Paragraph(
        "The rule decided edge by edge, from the top. Each number is what the supernet loses when the candidate is "
        f"removed from the edge, {'in nats' if loss else 'in percentage points of accuracy'}, compared with the "
        "least harmful removal. The candidate with the largest loss was kept; it has a frame."
    )
    columns = list(dict.fromkeys(name for _, value in edges for name in value["removed"]))
    names, values, chosen = [], [], set()
    for row, (found, value) in enumerate(edges):
        names.append(_edge_name(run, found.group(1), int(found.group(2))))
        harms = {name: _harm(score, loss) for name, score in value["removed"].items()}
        least = min(harms.values())
        values.append([harms[name] - least if name in harms else None for name in columns])
        if value.get("chosen") in columns:
            chosen.add((row, columns.index(value["chosen"])))
    title = "Harm of removing a candidate"
    yield Matrix("perturbation", title, names, columns, values, "edge, in order", "", frozenset(chosen), 2)
    rows: list[list[Value]] = []
    for key, value in journal.items():
        if (node := _NODE.fullmatch(key)) and isinstance(value, Mapping) and "kept" in value:
            kept = [_edge_name(run, node.group(1), int(edge)) for edge in value["kept"]]
            rows.append([node.group(1), int(node.group(2)), ", ".join(kept)])
    if rows:
        yield Table(["cell", "node", "edges that are kept"], rows, "Which edges each node keeps")


def _harm(score: Mapping[str, Any], loss: bool) -> float:
    return float(score["loss"]) if loss else -100 * float(score["accuracy"])


def _accuracy(score: Mapping[str, Any]) -> Any:
    return score.get("accuracy")


def _edge_name(run: RunFiles, cell_type: str, edge: int) -> str:
    """The ends of an edge by its number."""
    if run.genotype is None or cell_type not in run.genotype.cells:
        return f"{cell_type} {edge}"
    kind, nodes = run.genotype.kind, len(run.genotype.cells[cell_type].nodes)
    drawing = space_of(kind).drawing
    inputs = 1 if drawing.first_node else len(drawing.inputs)
    labels = edge_labels(kind, CellSpace(inputs, nodes, KINDS.get(kind).inputs_per_node or nodes, ()))
    several = len(run.genotype.cells) > 1
    return f"{cell_type} {labels[edge]}" if several else labels[edge]


def _ranking(journal: Mapping[str, Any]) -> Iterator[Block]:
    ranking = journal.get("ranking")
    if not isinstance(ranking, Mapping) or not ranking.get("genotypes"):
        return
    rows = ranking["genotypes"]
    scored = rows[0].get("accuracy") is not None
    score = "accuracy" if scored else "loss"
    correlation = ranking.get("spearman")
    yield Paragraph(
        f"{len(rows)} genotypes were scored with the weights of the supernet. "
        + ("" if correlation is None else f"Rank correlation of score and likelihood: {correlation:.3f}.")
    )
    points = Series(
        "", [row["log_likelihood"] for row in rows], [row[score] for row in rows], style="points",
        labels=[row["genotype"] for row in rows],
    )  # fmt: skip
    best = Series("chosen", [rows[0]["log_likelihood"]], [rows[0][score]], style="points")
    yield Curves(
        "shared_weights", "Score with shared weights against likelihood", "log likelihood under the mixing weights",
        f"{score} with shared weights", [points, best],
    )  # fmt: skip
    table = [[place, row[score], row["log_likelihood"], row["genotype"]] for place, row in enumerate(rows, 1)]
    headings = ["rank", score, "log likelihood", "genotype"]
    yield Table(headings, table[:MOST_RANKED], f"The best {min(MOST_RANKED, len(table))} genotypes", folded=True)


def _limits(journal: Mapping[str, Any]) -> Iterator[Block]:
    limits = journal.get("limits")
    if isinstance(limits, Mapping):
        rows = [(str(name).replace("_", " "), value) for name, value in limits.items() if _is_plain(value)]
        yield Paragraph("The strongest genotype within the limits, compared with the strongest one without them:")
        yield Facts(rows)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float))
