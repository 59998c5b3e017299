"""The registry of candidate operations: a new one is one decorated function.

An ordinary candidate is a function of (channels, stride, affine) that returns a module
[B, C, H, W] -> [B, C, ceil(H/stride), ceil(W/stride)]::

    @candidate("my_conv")
    def my_conv(channels: int, stride: int, affine: bool) -> nn.Module: ...

In a search it runs edge by edge. With ``parallel=True`` the function also takes `edges` and
returns an `EdgeOperation` for that many edges at once, as all built-in ones do.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from darts_pl.errors import UserError
from darts_pl.ops.edges import EdgeByEdge, EdgeOperation
from darts_pl.ops.pooling import Zero
from darts_pl.ops.probe import probe_edges, probe_module
from darts_pl.registry import Registry

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])

#: The candidate that contributes nothing: it has a mixing weight and is never computed.
NONE = "none"


@dataclass(frozen=True)
class Candidate:
    """How a candidate is built.

    Args:
        build: the decorated function.
        parallel: whether it builds all edges that leave one node at once.
    """

    build: Callable[..., nn.Module]
    parallel: bool

    @property
    def is_ours(self) -> bool:
        """Whether this package defines it, whose tests check it."""
        return self.build.__module__.partition(".")[0] == __name__.partition(".")[0]


CANDIDATES: Registry[Candidate] = Registry(
    "operation",
    reserved=(NONE,),
    hint="your own: decorate a function with @candidate and name its module in imports=[...]",
)

#: What was checked: (builder, stride, affine, edges).
_probed: set[tuple[Callable[..., nn.Module], int, bool, int]] = set()


def candidate(name: str, *, parallel: bool = False) -> Callable[[Builder], Builder]:
    """Decorator that registers a candidate under `name`.

    Raises:
        UserError: if the name is taken by another function, or is no identifier.
    """
    CANDIDATES.check_name(name)

    def register(build: Builder) -> Builder:
        CANDIDATES.add(name, Candidate(build, parallel), origin=build)
        return build

    return register


def names() -> tuple[str, ...]:
    """All registered operations, without "none"."""
    return CANDIDATES.list()


def check_candidates(wanted: Sequence[str]) -> None:
    """Raise UserError unless `wanted` are different known candidates and not all of them "none"."""
    for name in wanted:
        if name != NONE:
            CANDIDATES.get(name)
    if len(set(wanted)) != len(wanted):
        raise UserError(f"candidates {list(wanted)} name one operation twice")
    if set(wanted) <= {NONE}:
        raise UserError(f"candidates {list(wanted)} hold no operation; name at least one besides 'none'")


def build_edges(name: str, channels: int, stride: int, edges: int) -> EdgeOperation:
    """The candidate `name` on `edges` parallel edges of a search (no affine part).

    Raises:
        UserError: if the name is unknown, or a user's operation is not what a candidate must be.
    """
    entry = CANDIDATES.get(name)
    if not entry.parallel:
        return EdgeByEdge([_built(name, channels, stride, affine=False) for _ in range(edges)])
    operation = _built(name, channels, stride, affine=False, edges=edges)
    assert isinstance(operation, EdgeOperation)
    return operation


def build(name: str, channels: int, stride: int) -> nn.Module:
    """The operation `name` of a final network (affine BatchNorm): [B, C, H, W] -> [B, C, H', W'].

    "none" gives zeros; `Genotype.check_operations` says which genotypes may hold it.

    Raises:
        UserError: if the name is unknown, or a user's operation is not what a candidate must be.
    """
    if name == NONE:
        return Zero(stride)
    if CANDIDATES.get(name).parallel:
        return _built(name, channels, stride, affine=True, edges=1)
    return _built(name, channels, stride, affine=True)


def _built(name: str, channels: int, stride: int, **named: Any) -> nn.Module:
    """What the candidate's function returns; that of a user is checked when it is first built."""
    entry = CANDIDATES.get(name)
    if entry.is_ours:
        return entry.build(channels, stride, **named)
    label = f"operation {name!r} ({CANDIDATES.where(name)})"
    expected = f"(channels, stride, {', '.join(named)})"
    try:
        inspect.signature(entry.build).bind(channels, stride, **named)
    except TypeError as error:
        raise UserError(f"{label}: {error}; it is called with {expected}") from None
    try:
        module = entry.build(channels, stride, **named)
    except Exception as error:
        raise UserError(f"{label}: building it raised {type(error).__name__}: {error}") from error
    key = (entry.build, stride, named["affine"], named.get("edges", 0))
    if key not in _probed:
        probe = probe_edges if entry.parallel else probe_module
        probe(module, channels, stride, label)
        _probed.add(key)
    return module
