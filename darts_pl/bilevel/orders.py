"""The registry of orders: how the gradient of the architecture parameters is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from darts_pl.bilevel.gradient import Hypergradient, first_order, second_order, second_order_exact
from darts_pl.registry import Registry
from darts_pl.settings import above, setting

ORDERS: Registry[Hypergradient] = Registry("order")


@dataclass(frozen=True, kw_only=True)
class OrderSettings:
    """An order without settings.

    `low_precision` says whether the order may run in bfloat16.
    """

    low_precision: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class FirstOrderSettings(OrderSettings):
    """The weights are taken as optimal."""

    low_precision: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class SecondOrderSettings(OrderSettings):
    """Central differences."""

    radius: float = setting("eps = radius / ||v|| of the central difference", above(0))


ORDERS.add("first", first_order, settings=FirstOrderSettings)
ORDERS.add("second", second_order, settings=SecondOrderSettings)
ORDERS.add("second_exact", second_order_exact, settings=OrderSettings)
