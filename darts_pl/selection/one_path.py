"""The mixing of a single genotype: weight 1 for its operations, nothing else is computed."""

from __future__ import annotations

import torch

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.spaces import CellSpace, Mixing, SearchSpace


def one_path(space: SearchSpace, genotype: Genotype, like: torch.Tensor) -> dict[str, Mixing]:
    """By cell type the mixing with which a supernet computes what the network of `genotype` computes, with the
    supernet's weights.

    Args:
        space: what is searched.
        genotype: of the same kind.
        like: gives device and dtype.

    Raises:
        UserError: if the genotype is of another kind or size, or has an operation that is no candidate there.
    """
    if genotype.kind != space.kind:
        raise UserError(f"genotype {genotype}: of kind {genotype.kind!r}, but the search is of kind {space.kind!r}")
    found = {}
    for name, cell in space.cells.items():
        nodes = genotype.cells[name].nodes
        if len(nodes) != cell.nodes:
            raise UserError(f"genotype {genotype}: its {name} cell has {len(nodes)} nodes, the search's {cell.nodes}")
        chosen = [[False] * cell.shape[1] for _ in cell.edges]
        for target, pairs in zip(cell.targets, nodes, strict=True):
            for operation, source in pairs:
                edge = cell.edges.index((source, target))
                chosen[edge][_column(cell, edge, operation, genotype)] = True
        alive = tuple(map(tuple, chosen))
        found[name] = Mixing(torch.tensor(chosen, dtype=like.dtype, device=like.device), alive=alive)
    return found


def _column(cell: CellSpace, edge: int, operation: str, genotype: Genotype) -> int:
    if operation not in cell.candidates[edge]:
        raise UserError(
            f"genotype {genotype}: {operation!r} is no candidate of edge {edge} of this search; known: "
            f"{', '.join(cell.candidates[edge])}"
        )
    return cell.candidates[edge].index(operation)
