"""The genotype that scores best with the weights of the supernet wins."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from darts_pl.genotype import Genotype
from darts_pl.report import MEASURES
from darts_pl.selection.criterion import CRITERIA, harm, misfits_of_criterion
from darts_pl.selection.magnitude import strengths
from darts_pl.selection.one_path import one_path
from darts_pl.selection.rules import RULES
from darts_pl.selection.score import Score
from darts_pl.selection.trials import Trials
from darts_pl.selection.units import assemble, log_likelihood, most_likely, units_of
from darts_pl.settings import at_least, between, setting
from darts_pl.spaces import Space, Supernet, space_of

#: So many uniform draws in a row that give nothing new end the drawing: a small space may have no more genotypes.
MOST_REPEATS = 1000


@dataclass(frozen=True, kw_only=True)
class SharedWeightsSettings:
    """Selection among genotypes by their scores with shared weights."""

    samples: int = setting("how many different genotypes are scored", at_least(1))
    likely: float = setting(
        "fraction of them that are the most likely ones; the others are uniform draws", between(0, 1)
    )
    criterion: str = setting("what they are ranked by", CRITERIA)
    fraction: float = setting("fraction of the batches of the valid split per genotype", between(0, 1, with_low=False))

    def misfits(self, space: Space) -> Iterator[str]:
        """Why this rule does not work in a space."""
        yield from misfits_of_criterion(self.criterion, space)


@RULES.register("shared_weights", settings=SharedWeightsSettings)
class SharedWeights:
    """Scores genotypes one by one on the valid split: each kept edge with mixing weight 1 on its operation, all else 0.

    The likelihood of a genotype is the product of the mixing weights of its operations. The more likely genotype
    wins a tie.
    """

    def __init__(self, settings: SharedWeightsSettings) -> None:
        self.settings = settings

    def __call__(self, supernet: Supernet, trials: Trials) -> Genotype:
        """The best genotype; the ranking and its rank correlation with the likelihood are recorded."""
        weights = strengths(supernet)
        genotypes = self.candidates(supernet, trials.seed)
        logs = [log_likelihood(supernet.space, genotype, weights) for genotype in genotypes]
        trials.expect(decisions=len(genotypes), evaluations=len(genotypes))
        scores = [
            Score(**trials.decide(str(genotype), self._scoring(supernet, trials, genotype), evaluations=1))
            for genotype in genotypes
        ]
        harms = [harm(score, self.settings.criterion) for score in scores]
        ranking = sorted(range(len(genotypes)), key=lambda index: (harms[index], -logs[index], index))
        correlation = MEASURES["spearman"](-np.array(harms), np.array(logs))
        trials.expect(decisions=0, evaluations=0)
        trials.decide(
            "ranking",
            lambda: {
                "spearman": correlation if math.isfinite(correlation) else None,
                "genotypes": [
                    {"genotype": str(genotypes[index]), **scores[index]._asdict(), "log_likelihood": logs[index]}
                    for index in ranking
                ],
            },
        )
        trials.tell(
            f"{len(genotypes)} genotypes scored with shared weights; rank correlation of score and likelihood "
            f"{correlation:.3f}"
        )
        return genotypes[ranking[0]]

    def candidates(self, supernet: Supernet, seed: int) -> list[Genotype]:
        """Different genotypes: the most likely ones, then uniform draws.

        Args:
            supernet: whose mixing weights are read.
            seed: of the draws.
        """
        space, wanted = supernet.space, self.settings.samples
        units = units_of(supernet, strengths(supernet))
        likely = most_likely(units, max(round(self.settings.likely * wanted), 1)) if self.settings.likely > 0 else []
        found = {_key(one): one for one in (assemble(space, units, options, ranked=False) for options in likely)}
        draw, repeats = random.Random(seed), 0
        while len(found) < wanted and repeats < MOST_REPEATS:
            one = space_of(space.kind).draw(space, draw)
            repeats = repeats + 1 if _key(one) in found else 0
            found.setdefault(_key(one), one)
        return list(found.values())

    def _scoring(self, supernet: Supernet, trials: Trials, genotype: Genotype) -> Callable[[], Any]:
        def compute() -> Any:
            mixing = one_path(supernet.space, genotype, next(iter(supernet.alphas.values())))
            return trials.score(mixing, self.settings.fraction)._asdict()

        return compute


def _key(genotype: Genotype) -> Any:
    """Equal for genotypes that differ in the order of pairs only."""
    return tuple((name, tuple(tuple(sorted(node)) for node in cell.nodes)) for name, cell in genotype.cells.items())
