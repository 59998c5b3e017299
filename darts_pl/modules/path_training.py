"""Training shared weights by single paths: every step trains the operations of one drawn genotype."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from darts_pl.bilevel import Draws, Mean, Perturbation, batch_statistics, scoring_pass
from darts_pl.bilevel.stages import SingleStage, SingleStageSettings
from darts_pl.genotype import Genotype
from darts_pl.modules.search import SearchModule
from darts_pl.modules.stage_run import StageRun
from darts_pl.selection.one_path import one_path
from darts_pl.spaces import Mixing, Supernet

#: The genotype whose operations are trained, from a seed that belongs to the step alone.
DrawPath = Callable[[int], Genotype]


class DrawnPaths(Perturbation):
    """In the weight step the mixing is that of one drawn genotype: 1 for its operations, 0 for all others.

    Args:
        draw: gives the genotype of a step.
    """

    def __init__(self, draw: DrawPath) -> None:
        self.draw = draw

    def __call__(
        self, supernet: Supernet, mixing: Mapping[str, Mixing], train: Any, generator: torch.Generator, mean: Mean
    ) -> Mapping[str, Mixing]:
        genotype = self.draw(_seed(generator))
        return one_path(supernet.space, genotype, next(iter(supernet.alphas.values())))


class PathModule(SearchModule):
    """The weights of a supernet are trained by single paths; the architecture parameters stay as they are.

    Which path a step trains depends on the seed, the number of the step, and what `draw` knows. Validation scores one
    drawn path per batch, with the statistics of the batch in BatchNorm: the mean score of the drawn genotypes.
    """

    #: No step reads the valid half of its batch.
    reads_valid_half = False

    def train_paths(self, draw: DrawPath, epochs: int) -> None:
        """Set what is drawn, before the first epoch.

        Args:
            draw: gives the genotype of a step.
            epochs: of the training.
        """
        self.perturbation = DrawnPaths(draw)
        self.regulariser, self.observers = None, ()
        self.stages = StageRun.single(self.supernet, epochs)
        # A warm-up that never ends: only the weights move.
        self.stages.plan = tuple(SingleStage(SingleStageSettings(warmup_epochs=epochs)).plan(epochs))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        assert isinstance(self.perturbation, DrawnPaths)
        draws = Draws(self.seed, self.current_epoch, batch_idx)
        mixing = one_path(
            self.supernet.space,
            self.perturbation.draw(draws.seed("eval")),
            next(iter(self.supernet.alphas.values())),
        )
        with batch_statistics(self.supernet):
            outcome = scoring_pass(
                self.supernet, self.supernet.with_carry(batch, self.carried.get("eval")), draws, mixing
            )
        if outcome.carry is not None:
            self.carried["eval"] = outcome.carry
        size = self.valid_metrics.observe(outcome, batch)
        for name, metric in self.valid_metrics.metrics():
            self.log(f"search/valid_{name}", metric, on_step=False, on_epoch=True, batch_size=size)

    def _log_genotype(self, genotype: Genotype) -> None:
        """Nothing: the architecture parameters mean nothing here."""


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
