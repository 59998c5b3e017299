"""The NAS-Bench-201 space (Dong and Yang, ICLR 2020): its cells, its final network, and its table of results."""

from darts_pl.spaces.nasbench201.cell import NODES, OPERATIONS, Cell, cell_of_pairs, edges, parse_text, to_text
from darts_pl.spaces.nasbench201.isomorphism import canonical_form
from darts_pl.spaces.nasbench201.kind import KIND, cell_of, genotype_of
from darts_pl.spaces.nasbench201.lookup import describe, describe_top, summary
from darts_pl.spaces.nasbench201.network import NasBench201Network
from darts_pl.spaces.nasbench201.settings import NasBench201SearchSettings, NasBench201TrainSettings
from darts_pl.spaces.nasbench201.space import NasBench201Space
from darts_pl.spaces.nasbench201.supernet import NasBench201Supernet
from darts_pl.spaces.nasbench201.table import ACCURACIES, Entry, NasBench201

__all__ = [
    "ACCURACIES",
    "KIND",
    "NODES",
    "OPERATIONS",
    "Cell",
    "Entry",
    "NasBench201",
    "NasBench201Network",
    "NasBench201SearchSettings",
    "NasBench201Space",
    "NasBench201Supernet",
    "NasBench201TrainSettings",
    "canonical_form",
    "cell_of",
    "cell_of_pairs",
    "describe",
    "describe_top",
    "edges",
    "genotype_of",
    "parse_text",
    "summary",
    "to_text",
]
