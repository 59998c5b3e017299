"""A selection rule of one's own: the strongest genotype, unless a random one has the lower loss."""

from __future__ import annotations

from dataclasses import dataclass

from darts_pl.genotype import Genotype
from darts_pl.selection import RULES, Trials, magnitude, random_genotype
from darts_pl.settings import at_least, setting
from darts_pl.spaces import Mixing, Supernet, fix_weights


@dataclass(frozen=True, kw_only=True)
class DuelSettings:
    """A duel with random genotypes, all scored with the weights of the supernet."""

    rivals: int = setting("number of random genotypes", at_least(1))


@RULES.register("duel", settings=DuelSettings)
class Duel:
    """Scores the strongest genotype and some random ones on the valid split, and returns the best."""

    def __init__(self, settings: DuelSettings) -> None:
        self.rivals = settings.rivals

    def __call__(self, supernet: Supernet, trials: Trials) -> Genotype:
        drawn = [random_genotype(supernet.space, seed) for seed in range(self.rivals)]
        genotypes = [magnitude(supernet, trials), *drawn]
        losses = [
            # A decision is recorded at once: a run that is stopped here goes on with the next genotype.
            trials.decide(f"genotype {index}", lambda one=genotype: trials.score(only(supernet, one)).loss)
            for index, genotype in enumerate(genotypes)
        ]
        return genotypes[losses.index(min(losses))]


def only(supernet: Supernet, genotype: Genotype) -> dict[str, Mixing]:
    """Mixing weights of 1 for what a genotype keeps and 0 for all else."""
    found = {}
    for name, mixing in supernet.mixing().items():
        cell, chosen = supernet.space.cells[name], set()
        for target, pairs in zip(cell.targets, genotype.cells[name].nodes, strict=True):
            for pair in pairs:
                edge = cell.edges.index((pair.source, target))
                chosen.add((edge, cell.candidates[edge].index(pair.operation)))
        edges, candidates = mixing.weights.shape
        places = [(edge, column) for edge in range(edges) for column in range(candidates)]
        found[name] = fix_weights(mixing, {place: float(place in chosen) for place in places})
    return found
