"""Differentiable architecture search (DARTS) with PyTorch Lightning and Hydra.

What a notebook needs is here by name; each name is loaded when it is first used, so that importing
this package stays quick::

    from darts_pl import CnnSupernet, SearchStep, build_space, magnitude, second_order

A whole search and a whole training are one call each, `darts_pl.search` and `darts_pl.train`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts_pl.bilevel import Draws, SearchStep, first_order, second_order, second_order_exact
    from darts_pl.genotype import Genotype, parse
    from darts_pl.inference import load
    from darts_pl.ops import activation, candidate
    from darts_pl.selection import Trials, random_genotype
    from darts_pl.selection.magnitude import magnitude
    from darts_pl.spaces import (
        SPACES,
        CnnSupernet,
        Mixing,
        NasBench201,
        NasBench201Supernet,
        Parts,
        RnnSupernet,
        build,
        build_space,
        fix_weights,
    )
    from darts_pl.zoo import published

__version__ = "0.2.0.dev0"

#: By name, the room that defines it.
_ROOMS = {
    **dict.fromkeys(("Draws", "SearchStep", "first_order", "second_order", "second_order_exact"), "bilevel"),
    **dict.fromkeys(("Genotype", "parse"), "genotype"),
    **dict.fromkeys(("activation", "candidate"), "ops"),
    **dict.fromkeys(("Trials", "magnitude", "random_genotype"), "selection"),
    **dict.fromkeys(("SPACES", "CnnSupernet", "Mixing", "NasBench201", "NasBench201Supernet", "Parts"), "spaces"),
    **dict.fromkeys(("RnnSupernet", "build", "build_space", "fix_weights"), "spaces"),
    **dict.fromkeys(("search", "train"), "notebook"),
    "load": "inference",
    "published": "zoo",
}

__all__ = [
    "SPACES",
    "CnnSupernet",
    "Draws",
    "Genotype",
    "Mixing",
    "NasBench201",
    "NasBench201Supernet",
    "Parts",
    "RnnSupernet",
    "SearchStep",
    "Trials",
    "__version__",
    "activation",
    "build",
    "build_space",
    "candidate",
    "first_order",
    "fix_weights",
    "load",
    "magnitude",
    "parse",
    "published",
    "random_genotype",
    "search",
    "second_order",
    "second_order_exact",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
