"""What a search searched, and its mixing weights after every epoch, from the files of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from darts_pl.config.convert import convert
from darts_pl.report.page.run_files import RunFiles
from darts_pl.report.strengths import Strengths, strengths_of
from darts_pl.spaces import RELAXATIONS, SearchSpace, build_space


@dataclass(frozen=True)
class Mixed:
    """The mixing weights of a search.

    Args:
        space: what was searched.
        weights: per cell type [epochs + 1, edges, candidates]; nan where there is no such candidate.
        edges: per cell type the edge weights [epochs + 1, edges]; empty where edges have none.
    """

    space: SearchSpace
    weights: Mapping[str, np.ndarray]
    edges: Mapping[str, np.ndarray]

    def strengths(self, row: int = -1) -> Strengths:
        """The mixing weight of every candidate after one epoch."""
        weights = {name: np.nan_to_num(values[row]) for name, values in self.weights.items()}
        return strengths_of(self.space, weights, {name: values[row] for name, values in self.edges.items()})


def mixed_of(run: RunFiles) -> Mixed | None:
    """The mixing weights of a search; None where the run left no alphas, or no configuration.

    Raises:
        UserError, KeyError: where they are those of a space or a relaxation that is not registered.
    """
    search = run.config.get("search")
    if not run.arrays or not isinstance(search, Mapping) or not search.get("space"):
        return None
    space = build_space(search["space"], search["candidates"], int(search["nodes"]))
    relaxation = relaxation_of(run.config.get("relaxation") or {"name": "softmax"})
    weights, edges = {}, {}
    for name, cell in space.cells.items():
        alphas = torch.from_numpy(np.asarray(run.arrays[name], dtype=np.float64))
        present = torch.tensor([[column < len(names) for column in range(cell.shape[1])] for names in cell.candidates])
        live = present & alphas.isfinite()
        filled = torch.where(live, alphas, torch.zeros_like(alphas))
        found = torch.stack([relaxation.expected(row, mask) for row, mask in zip(filled, live, strict=True)])
        weights[name] = torch.where(live, found, torch.full_like(found, torch.nan)).detach().numpy()
        if f"betas.{name}" in run.arrays:
            edges[name] = _edge_weights(run.arrays[f"betas.{name}"], [cell.entering(node) for node in cell.targets])
    return Mixed(space, weights, edges)


def relaxation_of(settings: Mapping[str, Any]) -> Any:
    """The relaxation that the section of that name of a run's configuration chooses.

    Raises:
        UserError, KeyError: where it is not registered, or has other settings.
    """
    name = str(settings["name"])
    values = {key: value for key, value in settings.items() if key != "name"}
    schema = RELAXATIONS.settings(name)
    return RELAXATIONS.get(name)(convert(schema, values, "relaxation")) if values else RELAXATIONS.get(name)()


def _edge_weights(betas: np.ndarray, groups: list[tuple[int, ...]]) -> np.ndarray:
    """The softmax of the betas [epochs, edges] over the edges that enter a node (PC-DARTS)."""
    found = np.empty(betas.shape)
    for group in groups:
        part = betas[:, list(group)].astype(np.float64)
        part = np.exp(part - part.max(axis=1, keepdims=True))
        found[:, list(group)] = part / part.sum(axis=1, keepdims=True)
    return found
