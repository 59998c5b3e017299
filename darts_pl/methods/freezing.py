"""Operations that stop learning once they fit the train split only: operation-level early stopping (OLES)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_pl.bilevel import OBSERVERS, Observer, RollBack, SearchStep, Stop
from darts_pl.bilevel.orders import AlphaGradient
from darts_pl.ops import EdgeByEdge, FactorizedReduce
from darts_pl.settings import at_least, between, setting
from darts_pl.spaces import SPACES, MixedEdges, Supernet


@dataclass(frozen=True, kw_only=True)
class FreezeSettings:
    """When an operation is frozen."""

    window: int = setting(
        "an operation is judged by the sum of window + 1 similarities, divided by window", at_least(1)
    )
    threshold: float = setting("smallest mean similarity with which it goes on learning", between(-1, 1))
    added: bool = setting("whether the valid gradient is added to the train gradient before it is compared with it")

    def requires(self, config: Any) -> Iterator[str]:
        """Candidates have weights in cells of feature maps only."""
        if config.task.runs_search and SPACES.get(config.search.space).data != "images":
            yield f"observers=[freeze]: the candidates of search.space={config.search.space} have no weights to freeze"


class Watched(NamedTuple):
    """Weights of one candidate that serve K edges, stacked along their first dimension.

    Args:
        names: of the weights.
        edges: K.
    """

    names: tuple[str, ...]
    edges: int


def watched_operations(supernet: Supernet) -> list[Watched]:
    """Every candidate with weights, in all cells; reductions in size of skip connections are left out."""
    found = []
    for prefix, module in supernet.named_modules():
        if not isinstance(module, MixedEdges):
            continue
        for group in module.groups:
            operation = module.operation(group)
            place = f"{prefix}.operations.{group.name}"
            parts = (
                [(f"{place}.each.{index}", one, 1) for index, one in enumerate(operation.each)]
                if isinstance(operation, EdgeByEdge)
                else [(place, operation, operation.edges)]
            )
            for name, part, edges in parts:
                names = tuple(f"{name}.{inner}" for inner, _ in part.named_parameters())
                if names and not isinstance(part, FactorizedReduce):
                    found.append(Watched(names, edges))
    return found


@OBSERVERS.register("freeze", settings=FreezeSettings)
class Freeze(Observer):
    """Freezes the weights of an operation for good where its gradients on the two splits no longer agree.

    Jiang et al., "Operation-Level Early Stopping for Robustifying Differentiable NAS", NeurIPS 2023,
    section 4.2. In each step the similarity of an operation is the cosine of the gradient of its
    weights on the valid batch and that on the train batch of the step before, along the first
    dimension of every weight, averaged over the other dimensions and over its weights. An operation
    whose similarities have a mean below `threshold` in a window does not move any more, by momentum
    or weight decay either. A step in which the operation is not computed does not count.

    Args:
        settings: of the section `observers.freeze`.
    """

    needs_valid_weight_gradient = True

    def __init__(self, settings: FreezeSettings) -> None:
        self.window, self.threshold, self.added = settings.window, settings.threshold, settings.added
        self._supernet: Supernet | None = None
        self._stage = 0  # of the supernet that the state below belongs to
        self._watched: list[Watched] = []
        self._alike: dict[tuple[int, int, int], list[str]] = {}  # names of the weights of one shape
        self._place = self._weights_of = torch.zeros(0)  # operation of each row; weights of each operation
        self._sums = self._counts = torch.zeros(0)  # of the window so far, [operations]
        self._stopped = torch.zeros(0, dtype=torch.bool)  # [operations]
        self._before: dict[str, Tensor] = {}  # train gradients of the step before
        self._masks: dict[str, Tensor] = {}
        self._epoch = torch.zeros(2)  # of the epoch so far: sum and count of the similarities
        self._metrics: dict[str, float] = {}

    def on_step_start(self, step: int, search: SearchStep) -> None:
        if self._supernet is search.supernet:
            return
        # A resumed run keeps what it has loaded, unless that is of the stage before.
        fresh = self._supernet is not None or self._stage != search.supernet.stage
        self._supernet, self._watched = search.supernet, watched_operations(search.supernet)
        self._stage = search.supernet.stage
        total = sum(one.edges for one in self._watched)
        like = next(iter(search.supernet.alphas.values())).detach()
        if fresh or len(self._stopped) != total:
            self._sums = self._counts = torch.zeros(total)
            self._stopped, self._before = torch.zeros(total, dtype=torch.bool), {}
        self._sums, self._counts = self._sums.to(like), self._counts.to(like)
        self._stopped, self._epoch = self._stopped.to(like.device), self._epoch.to(like)
        self._before = {name: values.to(like.device) for name, values in self._before.items()}
        self._arrange(like)
        self._refresh()

    def _arrange(self, like: Tensor) -> None:
        """Group the watched weights by their shape, and note which operations their rows belong to."""
        assert self._supernet is not None
        weights, first = self._supernet.weights(), 0
        places: dict[str, range] = {}
        self._alike = {}
        for one in self._watched:
            for name in one.names:
                shape = (one.edges, len(weights[name]) // one.edges, weights[name][0].numel())
                self._alike.setdefault(shape, []).append(name)
                places[name] = range(first, first + one.edges)
            first += one.edges
        rows = [row for names in self._alike.values() for name in names for row in places[name]]
        self._place = torch.tensor(rows, dtype=torch.long, device=like.device)
        counts = [float(len(one.names)) for one in self._watched for _ in range(one.edges)]
        self._weights_of = torch.tensor(counts, dtype=like.dtype, device=like.device)

    def on_alpha_gradient(self, step: int, result: AlphaGradient) -> None:
        assert result.weights is not None, "the valid gradient of the weights was asked for"
        if not self._before:
            return
        similarity, counted = self.similarities(result.weights)
        self._judge(torch.where(counted & ~self._stopped, similarity, torch.nan))

    def similarities(self, valid: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The similarity of every operation on each of its edges, and whether it counts, both [operations].

        Args:
            valid: gradients on the valid batch, by the names of the weights.
        """
        cosines, present = [], []
        for shape, names in self._alike.items():  # [K, outputs, others]: weights of one shape at once
            before, now = (torch.stack([by[name].reshape(shape) for name in names]) for by in (self._before, valid))
            present.append((before.flatten(2).any(2) & now.flatten(2).any(2)).flatten())
            other = before + now if self.added else now
            cosines.append(torch.cosine_similarity(other, before, dim=2).mean(2).flatten())
        sums = torch.zeros_like(self._sums).index_add(0, self._place, torch.cat(cosines))
        there = torch.zeros_like(self._sums).index_add(0, self._place, torch.cat(present).to(sums))
        return sums / self._weights_of, there > 0

    def _judge(self, similarity: Tensor) -> None:
        """Take the similarities of a step, nan where there is none, and freeze what a full window says.

        Args:
            similarity: [operations].
        """
        there = similarity.isfinite()
        self._epoch = self._epoch + torch.stack([similarity.nansum(), there.sum()])
        self._sums = self._sums + torch.where(there, similarity, 0.0)
        self._counts = self._counts + there
        full = self._counts == self.window + 1
        stopped = full & (self._sums / self.window < self.threshold)
        self._sums, self._counts = self._sums.masked_fill(full, 0.0), self._counts.masked_fill(full, 0.0)
        if bool(stopped.any()):
            self._stopped = self._stopped | stopped
            self._refresh()

    def on_clipped_gradient(self, step: int, gradients: Mapping[str, Tensor | None]) -> None:
        assert self._supernet is not None
        weights = self._supernet.weights()
        self._before = {}
        for name in (name for one in self._watched for name in one.names):
            gradient = gradients[name]
            self._before[name] = torch.zeros_like(weights[name]) if gradient is None else gradient.detach().clone()

    def frozen_entries(self) -> Mapping[str, Tensor]:
        return self._masks

    def _refresh(self) -> None:
        """Bring the masks in line with what is frozen."""
        assert self._supernet is not None
        weights, self._masks = self._supernet.weights(), {}
        by_operation = self._stopped.split([one.edges for one in self._watched]) if self._watched else ()
        for one, stopped in zip(self._watched, by_operation, strict=True):
            if bool(stopped.any()):
                for name in one.names:
                    weight = weights[name]
                    rows = stopped.repeat_interleave(len(weight) // one.edges)
                    self._masks[name] = rows.view(-1, *[1] * (weight.dim() - 1))

    def rolled_back(self, then: Mapping[str, Any]) -> None:
        self.load_state_dict(then)

    def on_epoch_end(self, epoch: int, search: SearchStep) -> Stop | RollBack | None:
        total, count = self._epoch.tolist()
        if count:
            self._metrics["similarity"] = total / count
        if len(self._stopped):
            self._metrics["frozen_fraction"] = float(self._stopped.double().mean())
        self._epoch = torch.zeros_like(self._epoch)
        return None

    def metrics(self) -> Mapping[str, float]:
        return self._metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "stage": self._stage,
            "sums": self._sums.clone(),
            "counts": self._counts.clone(),
            "stopped": self._stopped.clone(),
            "before": {name: values.clone() for name, values in self._before.items()},
            "epoch": self._epoch.clone(),
            "metrics": dict(self._metrics),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._sums, self._counts, self._stopped = state["sums"], state["counts"], state["stopped"]
        self._before, self._supernet, self._masks = dict(state["before"]), None, {}
        self._stage = state.get("stage", 0)  # older states have none
        self._epoch, self._metrics = state["epoch"], dict(state["metrics"])
