"""What every supernet has: architecture parameters, weights, and a loss of given mixing weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from darts_pl.spaces.architecture import Architecture, present_candidates
from darts_pl.spaces.mixing import FixedWeights, Mixing
from darts_pl.spaces.relaxation import Relaxation, Softmax
from darts_pl.spaces.space import SearchSpace


class Outcome(NamedTuple):
    """What a pass over one batch gives: the mean `loss`, the network's `outputs`, and the state
    `carry` that the next batch of the same stream starts from (None where there is none)."""

    loss: Tensor
    outputs: Tensor
    carry: Any = None


class Supernet(nn.Module, ABC):
    """A network that holds every candidate on every edge.

    Mixing weights enter a pass explicitly: ``supernet.loss(batch, supernet.mixing())``.

    Args:
        space: what is searched.
        relaxation: alphas -> mixing weights; None = softmax.
        alpha_scale: standard deviation of the initial architecture parameters.
        edge_weights: whether every edge has a weight of its own.

    Attributes:
        arch: all architecture state; every Parameter in it is an architecture parameter.
    """

    #: Whether the virtual step and v of the second order are clipped like the weight gradient.
    clip_virtual = False
    #: Of which stage of the search it is, counted from 0.
    stage = 0

    def __init__(
        self,
        space: SearchSpace,
        relaxation: Relaxation | None = None,
        *,
        alpha_scale: float = 0.0,
        edge_weights: bool = False,
    ) -> None:
        super().__init__()
        self.space = space
        relaxation = Softmax() if relaxation is None else relaxation
        self.arch = Architecture(space, relaxation, scale=alpha_scale, edge_weights=edge_weights)

    @property
    def alphas(self) -> nn.ParameterDict:
        """By cell type the alphas, a Parameter [edges, candidates]."""
        return self.arch.alphas

    def architecture(self) -> dict[str, nn.Parameter]:
        """The architecture parameters by name, such as "alphas.normal"."""
        return dict(self.arch.named_parameters())

    def weights(self) -> dict[str, nn.Parameter]:
        """The weights w: every Parameter that is no architecture parameter, by name."""
        searched = {id(parameter) for parameter in self.arch.parameters()}
        return {name: parameter for name, parameter in self.named_parameters() if id(parameter) not in searched}

    def mixing(self, generator: torch.Generator | None = None, *, sample: bool = False) -> dict[str, Mixing]:
        """By cell type the mixing weights of one pass.

        Args:
            generator: what a sampling relaxation draws from.
            sample: True = as drawn for one pass, False = the expected ones.
        """
        return self.arch.mixing(generator, sample=sample)

    @abstractmethod
    def loss(self, batch: Any, mixing: Mapping[str, Mixing]) -> Outcome:
        """Loss, outputs and carried state of one batch.

        Args:
            batch: what the problem's data give.
            mixing: by cell type.
        """

    def weight_loss(self, outcome: Outcome) -> Tensor:
        """What the weights descend, of a pass on the train split."""
        return outcome.loss

    def lr_factor(self, train: Any) -> float:
        """Factor of the weights' learning rate for a batch of the train split."""
        return 1.0

    def with_carry(self, batch: Any, carry: Any) -> Any:
        """The batch as one that continues from the carried state of the batch before it, None at a start."""
        return batch

    def keep(self, cell_type: str, live: Sequence[Sequence[bool]]) -> None:
        """Remove candidates for good, the others renormalised; see `Architecture.keep`."""
        self.arch.keep(cell_type, live)

    def fix(self, cell_type: str, values: FixedWeights | None) -> None:
        """Set mixing weights for good, the others not renormalised; see `Architecture.fix`."""
        self.arch.fix(cell_type, values)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set what depends on the epoch in every part that has a method of this name.

        Args:
            epoch: of the stage, counted from 0.
            epochs: number of epochs of the stage.
        """
        self._tell("start_epoch", epoch, epochs)

    def load_alphas(self, alphas: Mapping[str, Tensor]) -> None:
        """Copy given alphas into the Parameters, by cell type."""
        with torch.no_grad():
            for name, values in alphas.items():
                self.alphas[name].copy_(values)

    def enter_stage(self, index: int) -> None:
        """Tell every part that has a method of this name which stage this supernet is of, counted from 0."""
        self.stage = index
        self._tell("enter_stage", index)

    def end_search(self) -> None:
        """Tell every part that has a method of this name that the search is over: a rule derives the genotype now."""
        self._tell("end_search")

    def _tell(self, method: str, *arguments: int) -> None:
        for module in self.modules():
            told = getattr(module, method, None)
            if module is not self and callable(told):
                told(*arguments)

    def metrics(self) -> dict[str, float]:
        """Numbers to log at the end of an epoch, by name, of every part that has a method of this name."""
        found: dict[str, float] = {}
        for module in self.modules():
            metrics = getattr(module, "metrics", None)
            if module is not self and callable(metrics):
                found |= metrics()
        return found

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # In older checkpoints the alphas lie in the supernet itself, and nothing is removed or fixed.
        # Any other state dict that does not say what is removed or fixed leaves it as it is.
        for name, cell in self.space.cells.items():
            if f"{prefix}alphas.{name}" in state_dict:
                state_dict[f"{prefix}arch.alphas.{name}"] = state_dict.pop(f"{prefix}alphas.{name}")
                self.keep(name, present_candidates(cell))
                self.fix(name, None)
        state_dict.setdefault(f"{prefix}arch._extra_state", self.arch.get_extra_state())
        super()._load_from_state_dict(state_dict, prefix, *args)
