"""The NAS-Bench-201 space (Dong and Yang, ICLR 2020): its cells, its final network, and its table of results."""

from darts_pl.spaces.nasbench201.cell import NODES, OPERATIONS, Cell, cell_of_pairs, edges, parse_text, to_text
from darts_pl.spaces.nasbench201.isomorphism import canonical_form
from darts_pl.spaces.nasbench201.lookup import describe, describe_top, summary
from darts_pl.spaces.nasbench201.network import NasBench201Network
from darts_pl.spaces.nasbench201.table import ACCURACIES, Entry, NasBench201

__all__ = [
    "ACCURACIES",
    "NODES",
    "OPERATIONS",
    "Cell",
    "Entry",
    "NasBench201",
    "NasBench201Network",
    "canonical_form",
    "cell_of_pairs",
    "describe",
    "describe_top",
    "edges",
    "parse_text",
    "summary",
    "to_text",
]
