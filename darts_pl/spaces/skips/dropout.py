"""Dropout behind the skip connections of a search, whose rate decays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from darts_pl.ops import EdgeOperation, Identity, NodeOutput
from darts_pl.settings import at_least, between, each, setting
from darts_pl.spaces.skip import SKIPS, Skip


@dataclass(frozen=True, kw_only=True)
class DropoutSkipSettings:
    """Dropout behind skip connections."""

    rates: list[float] = setting(
        "dropout rate at the start of each stage, or one for all stages",
        each(between(0, 1, with_high=False), None, "one or more numbers, each at least 0, below 1"),
    )
    warmup_epochs: int = setting("epochs of each stage in which the rate falls linearly", at_least(0))
    decay: float = setting("by which the rate then falls exponentially, per epoch", at_least(0))


class DropoutRate:
    """The rate of all skip connections of a supernet, now.

    Args:
        settings: of the section `skip`.
    """

    def __init__(self, settings: DropoutSkipSettings) -> None:
        self.settings = settings
        self.stage = 0
        self.now = self.first

    @property
    def first(self) -> float:
        """The rate from which that of this stage falls."""
        rates = self.settings.rates
        return rates[self.stage] if len(rates) > 1 else rates[0]

    def at(self, epoch: int, epochs: int) -> float:
        """The rate in an epoch of a stage (authors' code): linear in the first ones, then it starts again."""
        warmup = self.settings.warmup_epochs
        if epoch < warmup:
            return self.first * (epochs - 1 - epoch) / epochs
        return self.first * math.exp(-self.settings.decay * (epoch - warmup))


class DroppedIdentity(EdgeOperation):
    """The node's output with elements set to 0 at random and the others enlarged, drawn for each edge.

    Without dropout it is one map for all edges, as `Identity` is.

    Args:
        edges: K.
        rate: shared by all skip connections of a supernet.
    """

    def __init__(self, edges: int, rate: DropoutRate) -> None:
        super().__init__(edges)
        self.rate = rate

    @property
    def shared(self) -> bool:
        """Whether one map serves all edges."""
        return not self.training or self.rate.now == 0

    def on_edges(self, node: NodeOutput, scale: Tensor | None = None) -> Tensor:
        if self.shared:
            assert scale is None
            return node.raw
        x = node.raw.repeat(1, self.edges, 1, 1) if self.edges > 1 else node.raw
        kept = self.keep(x).to(x) / (1 - self.rate.now)
        return x * (kept if scale is None else kept * scale.view(1, -1, 1, 1))

    def keep(self, like: Tensor) -> Tensor:
        """1 for what is kept and 0 for the rest, [B, K*C, H, W], drawn from the global generator."""
        return torch.empty_like(like).bernoulli_(1 - self.rate.now)

    def enter_stage(self, index: int) -> None:
        """The rate of that stage counts from now on."""
        self.rate.stage = index
        self.rate.now = self.rate.first

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set the rate of the epoch."""
        self.rate.now = self.rate.at(epoch, epochs)

    def end_search(self) -> None:
        """The genotype is derived without dropout."""
        self.rate.now = 0.0

    def metrics(self) -> Mapping[str, float]:
        """The rate."""
        return {"skip_dropout": self.rate.now}


@SKIPS.register("dropout", settings=DropoutSkipSettings)
class DropoutSkip(Skip):
    """Element-wise dropout behind identity skip connections (Chen et al., P-DARTS, ICCV 2019, section 3.3).

    A skip connection of stride 2, which is a factorized reduce, has none.

    Args:
        settings: of the section `skip`.
    """

    on_maps = True
    not_compiled = "its rate changes with the epoch, and every one would be compiled"

    def __init__(self, settings: DropoutSkipSettings) -> None:
        self.rate = DropoutRate(settings)

    def wrap(self, name: str, operation: EdgeOperation, stride: int) -> EdgeOperation:
        return DroppedIdentity(operation.edges, self.rate) if isinstance(operation, Identity) else operation

    def requires(self, stages: int) -> Iterator[str]:
        rates = self.rate.settings.rates
        if len(rates) not in (1, stages):
            yield (
                f"skip.rates={rates}: {len(rates)} rates for {stages} stage{'s' if stages > 1 else ''}; give one, such "
                f"as skip.rates=[{rates[-1]}], or one for each stage"
            )
