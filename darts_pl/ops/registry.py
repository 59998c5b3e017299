"""The registry of candidate operations: a new one is one decorated function.

An ordinary candidate is a function of (channels, stride, affine) that returns a module
[B, C, H, W] -> [B, C, ceil(H/stride), ceil(W/stride)]::

    @candidate("my_conv")
    def my_conv(channels: int, stride: int, affine: bool) -> nn.Module: ...

In a search it runs edge by edge. With ``parallel=True`` the function also takes `edges` and
returns an `EdgeOperation` for that many edges at once, as all built-in ones do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from darts_pl.errors import UserError
from darts_pl.ops.edges import EdgeByEdge, EdgeOperation

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])

#: The candidate that contributes nothing: it takes its share of the softmax and is never computed.
NONE = "none"


@dataclass(frozen=True)
class _Entry:
    build: Callable[..., nn.Module]
    parallel: bool


_REGISTRY: dict[str, _Entry] = {}


def candidate(name: str, *, parallel: bool = False) -> Callable[[Builder], Builder]:
    """Decorator that registers a candidate under `name`.

    Raises:
        UserError: if the name is taken by another function, or is no identifier.
    """
    if not name.isidentifier():
        raise UserError(f"candidate name {name!r}: use letters, digits and _ only")

    def register(build: Builder) -> Builder:
        taken = _REGISTRY.get(name)
        if name == NONE or (taken is not None and _origin(taken.build) != _origin(build)):
            raise UserError(f"candidate name {name!r} is already taken; choose another")
        _REGISTRY[name] = _Entry(build, parallel)
        return build

    return register


def _origin(build: Callable[..., nn.Module]) -> tuple[str, str]:
    return build.__module__, build.__qualname__


def names() -> tuple[str, ...]:
    """All registered operations, without "none"."""
    return tuple(_REGISTRY)


def check_candidates(wanted: Sequence[str]) -> None:
    """Raise UserError unless `wanted` are different known candidates and not all of them "none"."""
    for name in wanted:
        if name != NONE:
            _entry(name)
    if len(set(wanted)) != len(wanted):
        raise UserError(f"candidates {list(wanted)} name one operation twice")
    if set(wanted) <= {NONE}:
        raise UserError(f"candidates {list(wanted)} hold no operation; name at least one besides 'none'")


def _entry(name: str) -> _Entry:
    if name not in _REGISTRY:
        raise UserError(
            f"unknown operation {name!r}; known: {', '.join((NONE, *_REGISTRY))}\n"
            "your own: decorate a function with @candidate and name its module in imports=[...]"
        )
    return _REGISTRY[name]


def build_edges(name: str, channels: int, stride: int, edges: int) -> EdgeOperation:
    """The candidate `name` on `edges` parallel edges of a search (no affine part).

    Raises:
        UserError: if the name is unknown.
    """
    entry = _entry(name)
    if not entry.parallel:
        return EdgeByEdge([entry.build(channels, stride, affine=False) for _ in range(edges)])
    operation = entry.build(channels, stride, affine=False, edges=edges)
    assert isinstance(operation, EdgeOperation), f"{name} is registered as parallel but is no EdgeOperation"
    return operation


def build(name: str, channels: int, stride: int) -> nn.Module:
    """The operation `name` of a final network (affine BatchNorm): [B, C, H, W] -> [B, C, H', W'].

    Raises:
        UserError: if the name is unknown.
    """
    entry = _entry(name)
    if entry.parallel:
        return entry.build(channels, stride, affine=True, edges=1)
    return entry.build(channels, stride, affine=True)
