"""A skip connection beside the candidates of every edge, whose weight decays to 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn

from darts_pl.ops import FactorizedReduce
from darts_pl.settings import one_of, setting
from darts_pl.spaces.skip import SKIPS, Skip

#: By name, beta as a function of the part of the epochs that is over, from 0 to 1.
BETAS: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {
        "linear": lambda done: 1 - done,
        "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
        "slow_cosine": lambda done: math.cos(math.pi / 2 * done),
        "constant": lambda done: 1.0,
    }
)


@dataclass(frozen=True, kw_only=True)
class AuxiliarySkipSettings:
    """An auxiliary skip connection."""

    schedule: str = setting("how its weight falls from 1 over the epochs", one_of(*BETAS))


class AuxiliaryPath(nn.Module):
    """beta times a node's output, which every edge that leaves the node adds.

    Args:
        channels: C.
        stride: of the edges; at stride 2 the output goes through a factorized reduce, one for each edge.
        edges: K.
        schedule: a name in `BETAS`.

    Attributes:
        beta: the weight now. It is derived from the epoch and is no part of a checkpoint.
    """

    def __init__(self, channels: int, stride: int, edges: int, schedule: str) -> None:
        super().__init__()
        self.auxiliary_op = FactorizedReduce(channels, channels, False, edges) if stride > 1 else None
        self.schedule = schedule
        self.beta = 1.0

    def forward(self, node: Tensor) -> Tensor | None:
        """[B, C, H, W] -> [B, C, H, W] for all K edges, or at stride 2 [B, K*C, H', W']; None where beta is 0."""
        if self.beta == 0:
            return None
        out = node if self.auxiliary_op is None else self.auxiliary_op(node)
        return out if self.beta == 1 else out * self.beta

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """1 in the first epoch; the decay would reach 0 after the last one."""
        self.beta = BETAS[self.schedule](epoch / epochs)

    def end_search(self) -> None:
        """The genotype is derived without the path."""
        self.beta = 0.0

    def metrics(self) -> Mapping[str, float]:
        """Its weight."""
        return {"skip_beta": self.beta}


@SKIPS.register("auxiliary", settings=AuxiliarySkipSettings)
class AuxiliarySkip(Skip):
    """Every edge adds beta * its input to its mixed output (Chu et al., DARTS-, ICLR 2021).

    The training of the network no longer needs the candidate skip_connect, whose mixing weight then
    tells what it is worth as an operation. With partial channels the path leads over the channels
    that the candidates read: the others pass by already, so each channel is passed on once.

    Args:
        settings: of the section `skip`.
    """

    on_maps = True
    not_compiled = "its weight changes with the epoch, and every one would be compiled"

    def __init__(self, settings: AuxiliarySkipSettings) -> None:
        self.schedule = settings.schedule

    def extra(self, channels: int, stride: int, edges: int) -> AuxiliaryPath:
        return AuxiliaryPath(channels, stride, edges, self.schedule)
