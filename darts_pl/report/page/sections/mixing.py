"""How the mixing weights moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darts_pl.genotype import Genotype
from darts_pl.report.graph import cell_title
from darts_pl.report.page.architecture import Mixed, mixed_of
from darts_pl.report.page.blocks import Block, Curves, EdgeHistory, MixingHistory, Paragraph, Series
from darts_pl.report.page.naming import edge_labels
from darts_pl.report.page.sections.registry import Report, section


@section("mixing", "How the mixing weights moved")
def mixing_weights(report: Report) -> Sequence[Block]:
    """All edges over the epochs, and the edge weights where there are some."""
    if report.compared:
        return []
    searches = report.searches
    if not searches:
        return []
    name, run = next((pair for pair in searches if pair[1].genotype == report.run.genotype), searches[0])
    mixed = mixed_of(run)
    if mixed is None or len(next(iter(mixed.weights.values()))) < 2:  # no epoch is over
        return []
    genotype = run.genotype or (run.genotypes[-1] if run.genotypes else None)
    blocks: list[Block] = []
    if len(searches) > 1:
        blocks.append(Paragraph(f"Of {len(searches)} searches this one found the chosen cell: {name}."))
    blocks.append(history_of(mixed, run.genotypes, genotype))
    blocks += [_edge_weights(mixed, cell_type) for cell_type in mixed.edges]
    return blocks


def history_of(mixed: Mixed, genotypes: Sequence[Genotype], genotype: Genotype | None) -> MixingHistory:
    """The mixing weights as a block.

    Args:
        mixed: of a search.
        genotypes: the previews, one per row of the weights; others are not shown.
        genotype: whose candidates are marked; None = none.
    """
    cells, names, titles = {}, [], {}
    rows = 0
    for cell_type, cell in mixed.space.cells.items():
        weights = mixed.weights[cell_type]
        rows = len(weights)
        labels = edge_labels(mixed.space.kind, cell)
        names += [name for candidates in cell.candidates for name in candidates]
        titles[cell_type] = cell_title(mixed.space.kind, cell_type)
        cells[cell_type] = [
            EdgeHistory(
                labels[edge],
                cell.candidates[edge],
                _plain(weights[:, edge, : len(cell.candidates[edge])]),
                _chosen(genotype, cell_type, cell.edges[edge], cell.input_nodes, cell.candidates[edge]),
            )
            for edge in range(len(cell.edges))
        ]
    previews = list(genotypes) if len(genotypes) == rows else []
    return MixingHistory(cells, previews, list(dict.fromkeys(names)), range(rows), titles)


def _plain(weights: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in weights]


def _chosen(
    genotype: Genotype | None, cell_type: str, edge: tuple[int, int], inputs: int, candidates: Sequence[str]
) -> int | None:
    """The candidate that the genotype has on an edge (source, target); `inputs` nodes come before the first target."""
    if genotype is None or cell_type not in genotype.cells:
        return None
    source, target = edge
    nodes, index = genotype.cells[cell_type].nodes, target - inputs
    found = [pair.operation for pair in nodes[index] if pair.source == source] if index < len(nodes) else []
    return candidates.index(found[0]) if found and found[0] in candidates else None


def _edge_weights(mixed: Mixed, cell_type: str) -> Block:
    labels = edge_labels(mixed.space.kind, mixed.space.cells[cell_type])
    values = mixed.edges[cell_type]
    series = [Series(label, range(len(values)), values[:, edge].tolist()) for edge, label in enumerate(labels)]
    title = f"Edge weights (softmax of beta), {cell_title(mixed.space.kind, cell_type)}"
    return Curves(f"edge_weights_{cell_type}", title, y_label="edge weight", series=series)
