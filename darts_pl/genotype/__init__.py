"""What a search returns: which operation reads which node, for every cell type."""

from darts_pl.genotype.cells import CellGenotype, Genotype, Pair, from_pairs, is_text, parse
from darts_pl.genotype.kinds import KINDS, NONE, Kind, register_kind

__all__ = [
    "KINDS",
    "NONE",
    "CellGenotype",
    "Genotype",
    "Kind",
    "Pair",
    "from_pairs",
    "is_text",
    "parse",
    "register_kind",
]
