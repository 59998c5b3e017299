"""The table of parts, spaces and orders in docs/methods.md is what running them gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from omegaconf import DictConfig

from darts_pl.bilevel import ORDERS
from darts_pl.cli import config_folder
from darts_pl.spaces import EDGES, RELAXATIONS, SKIPS, SPACES
from darts_pl.tasks import TASKS
from darts_pl.tasks.declarations.compatibility import BEGIN, END, GROUPS, bases_of, outcomes, parts_of, table

assert TASKS  # importing the tasks declares the sections

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
CONF = config_folder()
PARTS = [*parts_of(CONF)]


def shown() -> str:
    """The table in the page, with the reasons below it."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip()


def works(space: str) -> dict[str, bool]:
    """By part whether the page says that it works in a space, in all orders."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in shown().splitlines() if line[:1] == "|"]
    column = rows[0].index(f"`{space}`")
    cells = {re.findall(r"^`([^`]+)`", row[0])[0]: row[column] for row in rows[2:]}
    assert all(cell == "all orders" or re.fullmatch(r"no( \(\d+\))+", cell) for cell in cells.values()), cells
    return {part: cell == "all orders" for part, cell in cells.items()}


def test_the_page_has_a_row_for_every_part_and_method_and_a_column_for_every_space() -> None:
    assert [*works("cnn")] == PARTS
    for group, registry in (("relaxation", RELAXATIONS), ("edges", EDGES), ("skip", SKIPS)):
        assert {f"{group}={name}" for name in registry} == {part for part in PARTS if part.startswith(f"{group}=")}
    assert {f"method={file.stem}" for file in CONF.glob("method/*.yaml")} == {
        part for part in PARTS if part.split("=")[0] not in GROUPS
    }
    for space in SPACES:
        assert [*works(space)] == PARTS


@pytest.fixture(scope="module")
def bases() -> dict[str, DictConfig]:
    return bases_of(CONF)


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_sample_of_the_combinations_works_or_is_refused_as_the_page_says(
    order: str, bases: dict[str, DictConfig]
) -> None:
    # The first order runs other parts than the second one, both in every space.
    sample = PARTS[5 if order == "first" else 0 :: 9]
    for one in outcomes(bases, CONF, parts=sample, orders=[order]):
        assert works(one.space)[one.part] == (one.reason is None), one
        assert one.reason is None or one.reason in shown()
        assert one.reason is None or len(one.reason.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS.list())
def test_the_page_is_what_all_combinations_with_an_order_give(order: str, bases: dict[str, DictConfig]) -> None:
    found = [*outcomes(bases, CONF, orders=[order])]
    assert len(found) == len(PARTS) * len(SPACES.list())
    # `works` asserts that a part works in all orders or in none, so the table of one order is that of all.
    assert shown() == table(found), "run `make reference`"
