"""What a search returns: which operation reads which node, for every cell type.

A genotype is plain data. It is read from and written to JSON, and read from the texts in which the
literature prints it, such as ``Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[...], ...)``.
A kind of genotype says what all genotypes of one search space share; a space registers its kind.
"""

from darts_pl.genotype import cnn as _cnn  # these two register their kinds
from darts_pl.genotype import rnn as _rnn
from darts_pl.genotype.cells import CellGenotype, Genotype, Pair, allow_none
from darts_pl.genotype.files import find, read
from darts_pl.genotype.kinds import KINDS, NONE, Kind, register_kind
from darts_pl.genotype.pairs import from_pairs
from darts_pl.genotype.text import is_text, parse

__all__ = [
    "KINDS",
    "NONE",
    "CellGenotype",
    "Genotype",
    "Kind",
    "Pair",
    "allow_none",
    "find",
    "from_pairs",
    "is_text",
    "parse",
    "read",
    "register_kind",
]

assert _cnn
assert _rnn
