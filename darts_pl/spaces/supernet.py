"""What every supernet has: alphas, their relaxation, a mask, and a loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from darts_pl.spaces.relaxation import Relaxation, softmax
from darts_pl.spaces.space import SearchSpace

#: Standard deviation of the initial alphas (the authors' code, model_search.py).
ALPHA_SCALE = 1e-3


class Outcome(NamedTuple):
    """What a pass over one batch gives: the mean `loss`, the network's `outputs`, and the state
    `carry` that the next batch of the same stream starts from (None where there is none)."""

    loss: Tensor
    outputs: Tensor
    carry: Any = None


class Supernet(nn.Module):
    """A network that holds every candidate on every edge, mixed by the relaxed alphas.

    Args:
        space: what is searched.
        relaxation: alphas -> mixing weights.

    Attributes:
        alphas: one Parameter [edges, candidates] per cell type, drawn from 1e-3 * N(0, 1).
    """

    def __init__(self, space: SearchSpace, relaxation: Relaxation = softmax) -> None:
        super().__init__()
        self.space = space
        self.relaxation = relaxation
        self.alphas = nn.ParameterDict(
            {name: nn.Parameter(ALPHA_SCALE * torch.randn(cell.shape)) for name, cell in space.cells.items()}
        )
        self._masks: dict[str, Tensor] = {}
        for name, cell in space.cells.items():
            widest = cell.shape[1]
            if any(len(candidates) < widest for candidates in cell.candidates):
                absent = [[o >= len(candidates) for o in range(widest)] for candidates in cell.candidates]
                self.register_buffer(f"absent_{name}", torch.tensor(absent), persistent=False)

    def mask(self, cell_type: str, values: Tensor | None) -> None:
        """Fix mixing weights of one cell type, leaving the others as relaxed (not renormalised).

        Args:
            cell_type: such as "normal".
            values: [edges, candidates]; nan = as relaxed, any number = exactly that mixing weight.
                A candidate that is 0 on all edges that leave a node is not computed. None lifts
                the mask.
        """
        if values is None:
            self._masks.pop(cell_type, None)
        else:
            assert tuple(values.shape) == self.space.cells[cell_type].shape
            self._masks[cell_type] = values
        self._mask_changed(cell_type, values)

    def _mask_changed(self, cell_type: str, values: Tensor | None) -> None:
        """Called when a mask was set (a supernet may stop computing what is dead)."""

    def mixing_weights(self) -> dict[str, Tensor]:
        """Per cell type the weight of every candidate of every edge, [edges, candidates]."""
        weights = {}
        for name, alphas in self.alphas.items():
            absent = getattr(self, f"absent_{name}", None)
            mixed = self.relaxation(alphas if absent is None else alphas.masked_fill(absent, float("-inf")))
            if name in self._masks:
                values = self._masks[name].to(mixed)
                mixed = torch.where(values.isnan(), mixed, values)
            weights[name] = mixed
        return weights

    def weight_names(self) -> list[str]:
        """Names of all parameters but the alphas, in `named_parameters` order."""
        return [name for name, _ in self.named_parameters() if not name.startswith("alphas.")]

    def weights(self) -> dict[str, nn.Parameter]:
        """The weights w: every parameter but the alphas, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if not name.startswith("alphas.")}

    def loss(self, batch: Any) -> Outcome:
        """Loss, outputs and carried state of one batch."""
        raise NotImplementedError  # alphas can be relaxed, masked and selected from without a loss

    def continued(self, batch: Any, carry: Any) -> Any:
        """The batch as one that continues from the carried state of the batch before it, None at a start."""
        return batch

    def load_alphas(self, alphas: Mapping[str, Tensor]) -> None:
        """Copy given alphas into the Parameters."""
        with torch.no_grad():
            for name, values in alphas.items():
                self.alphas[name].copy_(values)
