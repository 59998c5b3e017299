"""Ranges and their words, and the checks of settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from darts_pl.errors import UserError
from darts_pl.settings import Range, above, at_least, between, check, each, fields_of, one_of, or_null, setting

RANGES: list[tuple[Range, list[Any], list[Any], str]] = [
    (at_least(1), [1, 2.5], [0, 0.99], "at least 1"),
    (above(0), [1e-9, 3], [0, -1], "above 0"),
    (between(0, 1), [0, 0.5, 1], [-0.1, 1.1], "0 to 1"),
    (between(0, 1, with_high=False), [0, 0.999], [1, -1], "at least 0, below 1"),
    (between(0, 1, with_low=False), [0.001, 1], [0, 2], "above 0, at most 1"),
    (between(0, 1, with_low=False, with_high=False), [0.5], [0, 1], "above 0, below 1"),
    (one_of("cosine", "exponential"), ["cosine"], ["linear", None], "one of cosine, exponential"),
    (or_null(at_least(1), "one per core"), [None, 1], [0], "at least 1, or null for one per core"),
    (each(above(0)), [[1], [1, 2]], [[], [1, 0]], "one or more numbers, each above 0"),
    (each(between(0, 1), 2), [[0, 1]], [[], [0], [0, 1, 0], [0, 2]], "2 numbers, each 0 to 1"),
]


@pytest.mark.parametrize(("within", "inside", "outside", "text"), RANGES, ids=[case[3] for case in RANGES])
def test_a_range_holds_for_exactly_its_values_and_says_so(
    within: Range, inside: list[Any], outside: list[Any], text: str
) -> None:
    assert all(within.holds(value) for value in inside)
    assert not any(within.holds(value) for value in outside)
    assert within.text == text
    assert within.outside
    assert not any(within.holds(value) for value in within.outside)


@dataclass(frozen=True, kw_only=True)
class Inner:
    lr: float = setting("learning rate", above(0))
    lr_min: float = setting("smallest learning rate", at_least(0))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if self.lr_min > self.lr:
            yield "lr_min", f"must be 0 to lr={self.lr}"


@dataclass(frozen=True, kw_only=True)
class Outer:
    epochs: int = setting("epochs", at_least(1))
    free: str = setting("anything")
    weights: Inner = setting("optimizer")


def outer(epochs: Any = 1, lr: float = 1.0, lr_min: float = 0.0) -> Outer:
    return Outer(epochs=epochs, free="", weights=Inner(lr=lr, lr_min=lr_min))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (outer(epochs=0), "search.epochs=0: must be at least 1"),
        (outer(epochs=None), "search.epochs=None: must be at least 1"),
        (outer(lr=0.0), "search.weights.lr=0.0: must be above 0"),
        (outer(lr=0.1, lr_min=0.2), "search.weights.lr_min=0.2: must be 0 to lr=0.1"),
        (outer(epochs=0, lr=0.0), "search.epochs=0: must be at least 1"),
    ],
)
def test_the_first_value_outside_its_range_is_named_with_its_dotted_key(settings: Outer, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check(settings, "search")
    assert str(caught.value) == message
    with pytest.raises(UserError, match="^" + message.removeprefix("search.").replace(".", r"\.")):
        check(settings, "")


def test_values_in_their_ranges_pass() -> None:
    check(outer(lr_min=1.0), "search")
    assert list(fields_of(Outer)) == ["epochs", "free", "weights"]
    assert fields_of(Outer)["epochs"].metadata["help"] == "epochs"
