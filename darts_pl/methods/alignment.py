"""Observers of what a collapsing search shows: gradients that do not agree, and skip connections that win."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from darts_pl.bilevel import (
    OBSERVERS,
    Draws,
    Mean,
    Observer,
    RollBack,
    SearchStep,
    Stop,
    device_of,
    evaluate,
    full_precision,
    gradients,
    identity_mean,
    no_trace,
    nothing_dropped,
)
from darts_pl.bilevel.orders import AlphaGradient
from darts_pl.selection import preview_magnitude
from darts_pl.spaces import LeavingEdges, Supernet, space_of


@OBSERVERS.register("gradient_alignment")
class GradientAlignment(Observer):
    """Measures how far gradients agree, as cosines: between the two splits, and between the layers of the supernet.

    - `splits`: of the gradients of all weights on the train batch and on the valid batch of a step
      (at the weights where the order computes the latter), mean over the steps of the epoch. Weights
      that follow the train split only let parameter-free candidates win.
    - `layers_CELLTYPE`: of the gradients of the alphas that single cells of a type contribute, mean
      over all pairs of cells (Movahedi et al., Lambda-DARTS, ICLR 2023), on the first valid batch
      of the epoch. Where it falls, the cells near the output choose for all others. Spaces with one
      cell of a type have no such number.
    """

    needs_valid_weight_gradient = True

    def __init__(self) -> None:
        self._valid: dict[str, Tensor] | None = None
        self._total: Tensor | None = None
        self._steps = 0
        self._metrics: dict[str, float] = {}

    def on_step_start(self, step: int, search: SearchStep) -> None:
        self._valid = None

    def on_alpha_gradient(self, step: int, result: AlphaGradient) -> None:
        self._valid = result.weights

    def on_weight_gradient(self, step: int, gradients: dict[str, Tensor | None]) -> None:
        if self._valid is None:  # only the weights move in this step
            return
        pairs = [(self._valid[name], value) for name, value in gradients.items() if value is not None]
        found = cosine(*map(list, zip(*pairs, strict=True)))
        self._total = found if self._total is None else self._total.to(found) + found
        self._steps += 1

    def on_epoch_end(self, epoch: int, search: SearchStep) -> Stop | RollBack | None:
        if self._total is not None:
            self._metrics["splits"] = float(self._total) / self._steps
        self._total, self._steps = None, 0
        assert search.valid_batch is not None, "the alignment of layers is measured on a batch of the valid split"
        draws = Draws(search.seed, 0, epoch, 0)
        for name, layers in layer_gradients(search.supernet, search.valid_batch(), draws, search.mean).items():
            if len(layers) > 1:
                pairs = [cosine([one], [other]) for one, other in combinations(layers, 2)]
                self._metrics[f"layers_{name}"] = float(torch.stack(pairs).mean())
        return None

    def metrics(self) -> Mapping[str, float]:
        return self._metrics

    def state_dict(self) -> dict[str, Any]:
        total = None if self._total is None else self._total.clone()
        return {"total": total, "steps": self._steps, "metrics": dict(self._metrics)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._total, self._steps, self._metrics = state["total"], state["steps"], dict(state["metrics"])


def cosine(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """Cosine of the angle between two lists of tensors, each taken as one vector; 0 where one of them is 0."""
    products = torch.stack(
        [torch.stack([(a * b).sum(), (a * a).sum(), (b * b).sum()]) for a, b in zip(one, other, strict=True)]
    )
    both, first, second = products.double().sum(0)
    length = (first * second).sqrt()
    return torch.where(length > 0, both / length.clamp_min(torch.finfo(length.dtype).tiny), torch.zeros_like(both))


def layer_gradients(
    supernet: Supernet, batch: Any, draws: Draws, mean: Mean = identity_mean
) -> dict[str, list[Tensor]]:
    """By cell type the gradient of the loss in the alphas [edges, candidates] that each cell of the type contributes.

    The gradients of all cells of a type add up to the first-order gradient of its alphas. The pass
    uses the expected mixing weights and the statistics of the batch, and leaves no trace. A
    supernet without `LeavingEdges`, such as a recurrent one, has no such cells.

    Args:
        supernet: the search network.
        batch: what its `loss` takes.
        draws: what candidates that draw, such as noise, draw from.
        mean: mean over ranks.
    """
    cells = list(_cells(supernet))
    if not cells:
        return {}
    device = device_of(supernet)
    leaves: list[list[Tensor]] = [[] for _ in cells]
    weights = {name: weight.detach() for name, weight in supernet.weights().items()}
    mixing = supernet.mixing()
    with ExitStack() as hooks, no_trace(supernet), full_precision(device.type), nothing_dropped(supernet):
        for (_, edges), own in zip(cells, leaves, strict=True):
            for module in edges:
                handle = module.register_forward_pre_hook(_with_leaf(own))
                hooks.callback(handle.remove)
        with draws.seeding("eval", device):
            plain = {name: values._replace(weights=values.weights.detach()) for name, values in mixing.items()}
            loss = evaluate(supernet, batch, plain, weights).loss
        flat = mean(gradients(loss, [leaf for own in leaves for leaf in own]))
    found: dict[str, list[Tensor]] = {name: [] for name in supernet.space.cells}
    for (name, _), own in zip(cells, leaves, strict=True):
        by_source, flat = torch.cat(flat[: len(own)]), flat[len(own) :]
        order = [edge for leaving in supernet.space.cells[name].leaving_by_source() for edge in leaving]
        of_mixing = torch.empty_like(by_source)
        of_mixing[torch.tensor(order, device=device)] = by_source
        found[name] += torch.autograd.grad(mixing[name].weights, supernet.alphas[name], of_mixing, retain_graph=True)
    return {name: layers for name, layers in found.items() if layers}


def _cells(supernet: Supernet) -> Iterator[tuple[str, list[LeavingEdges]]]:
    """The cell type of every mixed cell, and its edges by source node."""
    for module in supernet.modules():
        children: Any = getattr(module, "mixed", None)
        if not isinstance(children, nn.ModuleList):
            continue
        edges = [child for child in children if isinstance(child, LeavingEdges)]
        if edges:
            only = next(iter(supernet.space.cells))
            yield str(getattr(module, "cell_type", only)), edges


def _with_leaf(leaves: list[Tensor]) -> Any:
    """A hook that gives edges mixing weights of their own, which it appends to `leaves`."""

    def replace(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        node, weights, *others = inputs
        leaves.append(weights.detach().requires_grad_())
        return (node, leaves[-1], *others)

    return replace


@OBSERVERS.register("skip_count")
class SkipCount(Observer):
    """Counts skip connections: in each cell of the strongest genotype, and their mean mixing weight on the edges.

    A space that has no skip connection, such as a recurrent one, gives no numbers.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, float] = {}

    def on_epoch_end(self, epoch: int, search: SearchStep) -> Stop | RollBack | None:
        genotype = preview_magnitude(search.supernet)
        skip = space_of(genotype.kind).skip
        if skip is None:
            return None
        for name, values in search.supernet.mixing().items():
            pairs = genotype.cells[name].pairs
            self._metrics[f"count_{name}"] = float(sum(pair.operation == skip for pair in pairs))
            rows = [
                values.weights[edge, candidates.index(skip)]
                for edge, candidates in enumerate(search.supernet.space.cells[name].candidates)
                if skip in candidates
            ]
            if rows:
                self._metrics[f"mixing_{name}"] = float(torch.stack(rows).detach().mean())
        return None

    def metrics(self) -> Mapping[str, float]:
        return self._metrics

    def state_dict(self) -> dict[str, Any]:
        return {"metrics": dict(self._metrics)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._metrics = dict(state["metrics"])
