"""All architecture state of a supernet, in one submodule: what the valid split trains and what is decided."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from darts_pl.spaces.mixing import Alive, FixedWeights, Mixing, both_alive, fixed_tensors, without
from darts_pl.spaces.relaxation import Relaxation
from darts_pl.spaces.space import CellSpace, SearchSpace


class Architecture(nn.Module):
    """Alphas, edge weights and the relaxation, and which candidates live or are fixed.

    Every Parameter in here is an architecture parameter; no other Parameter of a supernet is one.

    Args:
        space: what is searched.
        relaxation: alphas -> mixing weights.
        scale: standard deviation of the initial alphas and betas, which are normally distributed
            around 0.
        edge_weights: whether every edge has a weight, beta, beside its candidates' alphas (PC-DARTS).

    Attributes:
        alphas: by cell type a Parameter [edges, candidates].
        betas: by cell type a Parameter [edges]; empty without edge weights.
    """

    def __init__(self, space: SearchSpace, relaxation: Relaxation, *, scale: float, edge_weights: bool) -> None:
        super().__init__()
        self.space = space
        self.relaxation = relaxation
        self.alphas = nn.ParameterDict(
            {name: nn.Parameter(scale * torch.randn(cell.shape)) for name, cell in space.cells.items()}
        )
        self.betas = nn.ParameterDict(
            {name: nn.Parameter(scale * torch.randn(len(cell.edges))) for name, cell in space.cells.items()}
            if edge_weights
            else {}
        )
        self._live: dict[str, Alive] = {name: present_candidates(cell) for name, cell in space.cells.items()}
        self._fixed: dict[str, dict[tuple[int, int], float]] = {name: {} for name in space.cells}
        self._alive: dict[str, Alive | None] = {}
        for name in space.cells:
            self._refresh(name)

    def keep(self, cell_type: str, live: Sequence[Sequence[bool]]) -> None:
        """Remove candidates: the others are renormalised, the removed ones are never computed again.

        Args:
            cell_type: such as "normal".
            live: [edges][candidates], which candidates remain.
        """
        kept = tuple(tuple(bool(value) for value in row) for row in live)
        assert [len(row) for row in kept] == [self.space.cells[cell_type].shape[1]] * len(kept)
        assert len(kept) == len(self.space.cells[cell_type].edges)
        present = both_alive(present_candidates(self.space.cells[cell_type]), kept)
        assert present is not None
        assert all(any(row) for row in present), "an edge without a live candidate has no mixing weights"
        self._live[cell_type] = present
        self._refresh(cell_type)

    def fix(self, cell_type: str, values: FixedWeights | None) -> None:
        """Set mixing weights of a cell type for good; the others stay as relaxed, not renormalised.

        Args:
            cell_type: such as "normal".
            values: by (edge, candidate) the mixing weight; replaces all that was fixed before. None
                lifts everything.
        """
        self._fixed[cell_type] = {(int(edge), int(column)): float(v) for (edge, column), v in (values or {}).items()}
        self._refresh(cell_type)

    def live(self, cell_type: str) -> Alive:
        """Which candidates remain, [edges][candidates]."""
        return self._live[cell_type]

    def live_mask(self, cell_type: str) -> Tensor | None:
        """`live` on the device, bool [edges, candidates]; None where every edge has all candidates."""
        return self._table(cell_type, "live")

    def fixed(self, cell_type: str) -> Mapping[tuple[int, int], float]:
        """Mixing weights that were set for good, by (edge, candidate)."""
        return dict(self._fixed[cell_type])

    def mixing(self, generator: torch.Generator | None = None, *, sample: bool = False) -> dict[str, Mixing]:
        """By cell type the mixing weights of one pass.

        Args:
            generator: what a sampling relaxation draws from, cell type by cell type.
            sample: whether it draws at all; False gives the expected mixing weights.
        """
        found = {}
        for name, alphas in self.alphas.items():
            live, drawn = self._table(name, "live"), None
            if sample:
                weights, drawn = self.relaxation.sampled(alphas, live, generator)
            else:
                weights = self.relaxation.expected(alphas, live)
            where = self._table(name, "fixed")
            if where is not None:
                weights = torch.where(where, self.get_buffer(f"values_{name}").to(weights), weights)
            found[name] = Mixing(weights, self.edge_mixing(name), both_alive(self._alive[name], drawn))
        return found

    def edge_mixing(self, cell_type: str) -> Tensor | None:
        """Softmax of the betas over the edges that enter each node, [edges]; None without edge weights."""
        if cell_type not in self.betas:
            return None
        cell = self.space.cells[cell_type]
        sizes = [len(cell.entering(target)) for target in cell.targets]
        return torch.cat([torch.softmax(part, dim=0) for part in self.betas[cell_type].split(sizes)])

    def _table(self, cell_type: str, what: str) -> Tensor | None:
        found: Tensor | None = getattr(self, f"{what}_{cell_type}")
        return found

    def _refresh(self, cell_type: str) -> None:
        """Bring the tensors of a cell type in line with what is live and fixed."""
        alphas, live, fixed = self.alphas[cell_type], self._live[cell_type], self._fixed[cell_type]
        whole = all(all(row) for row in live)
        shape = tuple(alphas.shape)
        table = None if whole else torch.tensor(live, device=alphas.device)
        self.register_buffer(f"live_{cell_type}", table, persistent=False)
        where, values = fixed_tensors(fixed, shape, alphas) if fixed else (None, None)
        self.register_buffer(f"fixed_{cell_type}", where, persistent=False)
        self.register_buffer(f"values_{cell_type}", values, persistent=False)
        self._alive[cell_type] = without(None if whole else live, fixed, shape)

    def get_extra_state(self) -> Tensor:
        """What is live and fixed, as the bytes of a JSON text, uint8 [length]: a state dict holds tensors only."""
        plain = {
            name: {
                "live": self._live[name],
                "fixed": [[edge, column, value] for (edge, column), value in sorted(self._fixed[name].items())],
            }
            for name in self.space.cells
        }
        return torch.frombuffer(bytearray(json.dumps(plain).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Takes what `get_extra_state` gave."""
        for name, tables in json.loads(bytes(state.tolist())).items():
            self.keep(name, tables["live"])
            self.fix(name, {(edge, column): value for edge, column, value in tables["fixed"]})


def present_candidates(cell: CellSpace) -> Alive:
    """The candidates that each edge has, [edges][most candidates of an edge]."""
    widest = cell.shape[1]
    return tuple(tuple(column < len(candidates) for column in range(widest)) for candidates in cell.candidates)
