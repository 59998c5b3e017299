"""Magnitude with a limit on skip connections (P-DARTS)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.selection.magnitude import strengths, strongest
from darts_pl.selection.rules import RULES
from darts_pl.selection.trials import Trials
from darts_pl.settings import at_least, setting
from darts_pl.spaces import SearchSpace, Space, Supernet, space_of


@dataclass(frozen=True, kw_only=True)
class SkipLimitSettings:
    """A limit on skip connections."""

    max_skips: int = setting("most skip connections in the normal cell, the first cell type", at_least(0))
    later: bool = setting(
        "whether of equally strong candidates and sources the last one is kept, and pairs are listed by source"
    )

    def misfits(self, space: Space) -> Iterator[str]:
        """Why this rule does not work in a space."""
        if space.skip is None:
            yield f"select=skip_limit: a {space.adjective} cell has no skip connections; use select=magnitude"


@RULES.register("skip_limit", settings=SkipLimitSettings)
class SkipLimit:
    """Derives by magnitude; while there are too many skip connections, the weakest of them gets mixing weight 0.

    Source: Chen et al., "Progressive Differentiable Architecture Search", ICCV 2019, section 3.3.
    """

    def __init__(self, settings: SkipLimitSettings) -> None:
        self.settings = settings

    def __call__(self, supernet: Supernet, trials: Trials) -> Genotype:
        """The genotype.

        Raises:
            UserError: if the space has no skip connections, or too few other candidates.
        """
        return self.preview(supernet)

    def preview(self, supernet: Supernet) -> Genotype:
        """What the rule derives; it needs no trials."""
        with torch.no_grad():
            return limit_skips(supernet.space, strengths(supernet), self.settings.max_skips, later=self.settings.later)


def limit_skips(space: SearchSpace, weights: Mapping[str, Tensor], most: int, *, later: bool = False) -> Genotype:
    """The genotype of given mixing weights with at most `most` skip connections in its first cell type.

    Args:
        space: cell types, edges, candidates.
        weights: per cell type the mixing weights [edges, candidates].
        most: 0 or more.
        later: see `strongest`.

    Raises:
        UserError: see `SkipLimit`.
    """
    skip = space_of(space.kind).skip
    if skip is None:
        raise UserError(f"select=skip_limit: a {space.kind} cell has no skip connections; use select=magnitude")
    name, cell = next(iter(space.cells.items()))
    limited = {other: table.clone() for other, table in weights.items()}
    while True:
        genotype = strongest(space, limited, later=later)
        chosen = [
            (edge, cell.candidates[edge].index(skip))
            for target, pairs in zip(cell.targets, genotype.cells[name].nodes, strict=True)
            for operation, source in pairs
            if operation == skip
            for edge in [cell.edges.index((source, target))]
        ]
        if len(chosen) <= most:
            return genotype
        weakest = min(chosen, key=lambda place: float(limited[name][place]))
        if limited[name][weakest] == 0:
            raise UserError(
                f"select.max_skips={most}: {len(chosen)} edges of the {name} cell have no other candidate to choose; "
                "raise it"
            )
        limited[name][weakest] = 0.0
