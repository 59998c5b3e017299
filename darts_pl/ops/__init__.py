"""Candidate operations for K parallel edges, and their registry."""

from darts_pl.ops import candidates as _candidates  # registers the built-in operations
from darts_pl.ops.convolutions import FactorizedReduce, ReLUConvBN
from darts_pl.ops.edges import BatchNorm, EdgeByEdge, EdgeOperation, NodeOutput
from darts_pl.ops.pooling import Identity
from darts_pl.ops.registry import NONE, build, build_edges, candidate, check_candidates, names

__all__ = [
    "NONE",
    "BatchNorm",
    "EdgeByEdge",
    "EdgeOperation",
    "FactorizedReduce",
    "Identity",
    "NodeOutput",
    "ReLUConvBN",
    "build",
    "build_edges",
    "candidate",
    "check_candidates",
    "names",
]

assert _candidates
