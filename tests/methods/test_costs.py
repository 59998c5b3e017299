"""What a pass of a method multiplies beside the plain pass: what of its time does not depend on the machine."""

from __future__ import annotations

import pytest

from benchmarks.methods import LIMITS, Row, composed, shown
from benchmarks.methods import Result as Measured


@pytest.fixture(scope="module")
def plain() -> float:
    return Row(composed("darts"), None, 1).multiply_adds(1)


@pytest.mark.parametrize("method", ["pc_darts", "gdas", "darts_minus"])
def test_a_pass_of_the_papers_size_multiplies_no_more_than_the_limit_of_its_time(method: str, plain: float) -> None:
    found = Row(composed(method), None, 1).multiply_adds() / plain
    limit = LIMITS[method].time
    assert limit is not None
    assert found <= limit
    # Each method computes something: a quarter of the channels has a 16th of the products of 1x1 convolutions.
    assert found > 1 / 16


def test_the_table_says_pass_or_fail_by_time_and_saved_bytes() -> None:
    rows = [
        Measured(name, 1.0, time, saved, 1.0, 1.0, LIMITS[name])
        for name, time, saved in (
            ("pc_darts", 0.70, 0.35),
            ("pc_darts", 0.71, 0.35),
            ("gdas", 0.35, 0.28),
            ("oles", 1.2, 1.0),
        )
    ]
    verdicts = [line.split("|")[-2].strip() for line in shown(rows).splitlines()[2:]]
    assert verdicts == ["pass", "fail", "fail", "no limit"]
