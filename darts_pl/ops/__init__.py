"""Candidate operations: convolutions and poolings for K parallel edges, activations, and their registries."""

from darts_pl.ops import candidates as _candidates  # registers the built-in operations
from darts_pl.ops import opaque as _opaque  # registers what compiled code calls
from darts_pl.ops.activations import ACTIVATIONS, activation, activation_function, activations, check_activations
from darts_pl.ops.convolutions import FactorizedReduce, ReLUConvBN
from darts_pl.ops.edges import BatchNorm, EdgeByEdge, EdgeOperation, NodeOutput
from darts_pl.ops.pooling import Identity, Pool
from darts_pl.ops.registry import CANDIDATES, NONE, build, build_edges, candidate, check_candidates, names
from darts_pl.ops.subset import Subset

__all__ = [
    "ACTIVATIONS",
    "CANDIDATES",
    "NONE",
    "BatchNorm",
    "EdgeByEdge",
    "EdgeOperation",
    "FactorizedReduce",
    "Identity",
    "NodeOutput",
    "Pool",
    "ReLUConvBN",
    "Subset",
    "activation",
    "activation_function",
    "activations",
    "build",
    "build_edges",
    "candidate",
    "check_activations",
    "check_candidates",
    "names",
]

assert _candidates
assert _opaque
