"""Stages that remove candidates and let the others read more channels: DrNAS's progressive search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from darts_pl.bilevel import STAGES, Factory, Facts, Stage, Stages, endless_warmup, equal_stages
from darts_pl.methods.widening import carry_weights
from darts_pl.settings import at_least, each, setting
from darts_pl.spaces import Supernet


@dataclass(frozen=True, kw_only=True)
class WideningStagesSettings:
    """Stages of equal length, each with fewer candidates and more channels than the one before."""

    keep: list[int] = setting("candidates that each edge keeps after each stage but the last", each(at_least(1)))
    k: list[int] = setting("edges.k of each stage but the first", each(at_least(1)))
    warmup_epochs: int = setting("epochs at the beginning of each stage in which only the weights move", at_least(0))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Each stage but one has an entry, and candidates only become fewer."""
        if len(self.k) != len(self.keep):
            yield "k", f"must have as many entries as keep={self.keep}"
        if sorted(self.keep, reverse=True) != list(self.keep):
            yield "keep", "must not rise"
        if sorted(self.k, reverse=True) != list(self.k):
            yield "k", "must not rise: channels are only added"

    def requires(self, config: Any) -> Iterator[str]:
        """Channels are added where edges read a part of them."""
        if not config.task.runs_search:
            return
        if not hasattr(config.edges, "k"):
            yield (
                f"stages=widening: needs edges that read a part of the channels, not edges={config.edges.name}; "
                "add edges=partial_channels"
            )
        elif config.edges.k < self.k[0]:
            yield f"stages.k={self.k}: must start at most at edges.k={config.edges.k}"
        yield from endless_warmup(config, self.warmup_epochs, len(self.k) + 1)


@STAGES.register("widening", settings=WideningStagesSettings)
class WideningStages(Stages):
    """Chen et al., DrNAS, ICLR 2021: candidates are pruned by their alphas, and edges read more channels.

    Weights, momentum, alphas and the state of their optimizer go on; the alphas of removed candidates
    are set to 0. One schedule of the learning rate covers all stages.

    Args:
        settings: of the section `stages`.
    """

    def __init__(self, settings: WideningStagesSettings) -> None:
        self.settings = settings

    def plan(self, epochs: int) -> Sequence[Stage]:
        return equal_stages(epochs, len(self.settings.k) + 1, self.settings.warmup_epochs, fresh_lr=False)

    def build(self, index: int, facts: Facts | None, factory: Factory) -> Supernet:
        if index == 0:
            return factory()
        assert facts is not None
        supernet = factory(edges={"k": self.settings.k[index - 1]})
        for cell_type, live in facts["live"].items():
            supernet.keep(cell_type, live)
        return supernet

    def end(self, index: int, supernet: Supernet) -> Facts:
        return {
            "live": {
                cell_type: strongest_alphas(alphas, supernet.arch.live(cell_type), self.settings.keep[index])
                for cell_type, alphas in supernet.alphas.items()
            }
        }

    def carry(
        self,
        index: int,
        old: Supernet,
        new: Supernet,
        old_optimizers: Sequence[torch.optim.Optimizer],
        new_optimizers: Sequence[torch.optim.Optimizer],
    ) -> None:
        carry_weights(old, new, old_optimizers[0], new_optimizers[0])
        before, after = old.architecture(), new.architecture()
        with torch.no_grad():
            for name, parameter in after.items():
                parameter.copy_(before[name])
                state = old_optimizers[1].state.get(before[name], {})
                new_optimizers[1].state[parameter] = {
                    key: value.clone() if torch.is_tensor(value) else value for key, value in state.items()
                }
            for cell_type, alphas in new.alphas.items():
                alphas.masked_fill_(~torch.tensor(new.arch.live(cell_type), device=alphas.device), 0.0)


def strongest_alphas(alphas: torch.Tensor, live: Sequence[Sequence[bool]], count: int) -> list[list[bool]]:
    """Which candidates remain: of each edge the `count` living ones of the largest alphas; ties keep the first.

    Args:
        alphas: [edges, candidates].
        live: [edges][candidates].
        count: of each edge.
    """
    kept = []
    for row, alive in zip(alphas.tolist(), live, strict=True):
        order = sorted((column for column, lives in enumerate(alive) if lives), key=lambda column: -row[column])
        kept.append([column in order[:count] for column in range(len(row))])
    return kept
