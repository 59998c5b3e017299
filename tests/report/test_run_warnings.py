"""The warnings about a run: each is provoked, and none appears in the recorded history of a healthy run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb
from pathlib import Path

import pytest

from darts_pl.report.run_warnings import (
    LEAST_ENTROPY_FALL,
    MOST_SKIPS,
    RUN_WARNINGS,
    RunFacts,
    RunWarning,
    run_warnings,
)
from darts_pl.zoo import ZOO

#: experiment=quickstart, seed 0, on one CPU core: entropy of normal and reduce, train and valid loss of every epoch.
SEARCH = (
    (1.9787, 1.9316, 1.7486, 0.8256),
    (1.9400, 1.9139, 0.7867, 0.4450),
    (1.9030, 1.8770, 0.3786, 0.2176),
    (1.8928, 1.8660, 0.2515, 0.1494),
    (1.8917, 1.8537, 0.2134, 0.1451),
    (1.8753, 1.8400, 0.1617, 0.1586),
)
COLUMNS = ("search/entropy_normal", "search/entropy_reduce", "search/train_loss", "search/valid_loss")
GENOTYPE = (
    "Genotype(normal=[('sep_conv_5x5', 0), ('dil_conv_5x5', 1), ('max_pool_3x3', 2), ('dil_conv_3x3', 0), "
    "('dil_conv_5x5', 3), ('avg_pool_3x3', 2), ('max_pool_3x3', 3), ('sep_conv_5x5', 4)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('skip_connect', 0), ('dil_conv_3x3', 1), ('max_pool_3x3', 1), "
    "('avg_pool_3x3', 2), ('max_pool_3x3', 3), ('max_pool_3x3', 2), ('skip_connect', 0), ('dil_conv_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])"
)
EQUAL = {"normal": math.log(8), "reduce": math.log(8)}
SEARCHED = RunFacts(
    [dict(zip(COLUMNS, row, strict=True)) for row in SEARCH],
    {"task": "search", "genotype": GENOTYPE},
    EQUAL,
)
#: The training of that cell: the train loss of every epoch, and the test loss.
TRAINED = RunFacts(
    [
        {"retrain/train_loss": loss}
        for loss in (
            1.6826,
            0.6299,
            0.5027,
            0.3436,
            0.3043,
            0.1609,
            0.1202,
            0.1083,
            0.0771,
            0.0454,
            0.033,
            0.0284,
            0.0331,
            0.0175,
            0.0211,
            0.0167,
        )
    ],
    {"task": "retrain", "genotype": GENOTYPE, "retrain/train_loss": 0.0167, "test/loss": 0.0341},
)


def names(facts: RunFacts) -> list[str]:
    return [one.key.removeprefix("warning/") for one in run_warnings(facts)]


def only(facts: RunFacts) -> RunWarning:
    (found,) = run_warnings(facts)
    return found


@pytest.mark.parametrize("facts", [SEARCHED, TRAINED], ids=["search", "training"])
def test_a_healthy_run_gets_no_warning(facts: RunFacts) -> None:
    assert run_warnings(facts) == []


def test_a_run_without_rows_or_summary_gets_no_warning() -> None:
    assert run_warnings(RunFacts()) == []


def test_mixing_weights_that_hardly_moved_are_named_with_their_cell() -> None:
    # Logits with variance 0.01 lower the entropy of 8 candidates by 0.01 * 7 / 16 nats, which is 0.2 % of log(8).
    rows = [{**row, "search/entropy_normal": math.log(8) - 0.01 * 7 / 16} for row in SEARCHED.rows]
    found = only(replace(SEARCHED, rows=rows))
    assert found.name == "flat_entropy"
    assert found.value == pytest.approx(0.01 * 7 / 16 / math.log(8))
    assert "0.21% (normal)" in found.message
    assert "reduce" not in found.message
    assert "almost arbitrary: use more epochs or a higher search.alphas.lr" in found.message


def test_the_entropy_of_a_later_stage_is_compared_with_that_of_its_own_candidates() -> None:
    early = {"search/entropy_normal": math.log(8), "search/stage": 0.0}
    late = {"search/entropy_normal": 0.9 * math.log(3), "search/stage": 1.0}
    assert names(RunFacts([early, late], {}, {"normal": math.log(3)})) == []
    assert names(RunFacts([early, late | {"search/entropy_normal": math.log(3)}], {}, {"normal": math.log(3)})) == [
        "flat_entropy"
    ]


def with_skips(normal: int, reduce: int) -> RunFacts:
    def pairs(skips: int) -> list[tuple[str, int]]:
        return [("skip_connect" if index < skips else "sep_conv_3x3", index % 2) for index in range(8)]

    text = f"Genotype(normal={pairs(normal)}, normal_concat=[2, 3, 4, 5], reduce={pairs(reduce)}, "
    return replace(SEARCHED, summary={"task": "search", "genotype": text + "reduce_concat=[2, 3, 4, 5])"})


def test_a_collapse_to_skip_connections_is_counted() -> None:
    found = only(with_skips(7, 3))
    assert found.name == "skip_collapse"
    assert "(10 of 16, 7 of 8 in the normal cell)" in found.message
    assert run_warnings(with_skips(4, 4)) == []


def test_a_cell_that_somebody_else_found_is_not_called_a_collapse() -> None:
    assert run_warnings(replace(with_skips(8, 8), summary={**with_skips(8, 8).summary, "task": "retrain"})) == []


def test_random_cells_rarely_have_so_many_skip_connections_and_the_cells_of_the_paper_never() -> None:
    least = int(8 * MOST_SKIPS) + 1
    chance = sum(comb(8, k) * (1 / 7) ** k * (6 / 7) ** (8 - k) for k in range(least, 9))
    assert chance == pytest.approx(0.0023, abs=1e-4)
    for name in ("darts_v1", "darts_v2"):
        for cell in ZOO[name].genotype.cells.values():
            assert sum(pair.operation == "skip_connect" for pair in cell.pairs) <= 3


@pytest.mark.parametrize(
    ("losses", "rose"),
    [
        ([2.0, 1.0, 1.2], False),  # a fifth of the gain is lost again
        ([2.0, 1.0, 1.3], True),  # three tenths
        ([2.0, 0.010, 0.013], False),  # 30 % more, but next to nothing of the gain
        ([2.0, 2.1], True),  # it never fell
        ([2.0, 2.01], False),
        ([2.0], False),
    ],
)
@pytest.mark.parametrize("name", ["search/train_loss", "search/valid_loss", "retrain/train_loss", "retrain/valid_loss"])
def test_a_loss_that_ends_well_above_its_lowest_value_is_named(name: str, losses: Sequence[float], rose: bool) -> None:
    found = run_warnings(RunFacts([{name: loss} for loss in losses]))
    assert [one.key for one in found] == ([f"warning/loss_rose/{name}"] if rose else [])
    if rose:
        assert f"{min(losses):.3f} in epoch {losses.index(min(losses)) + 1}, {losses[-1]:.3f} in the last" in (
            found[0].message
        )


def test_a_test_loss_far_above_the_training_loss_is_named_with_both() -> None:
    def facts(test: float) -> RunFacts:
        return replace(TRAINED, summary={**TRAINED.summary, "test/loss": test})

    train = float(TRAINED.summary["retrain/train_loss"])
    assert run_warnings(facts(train + 0.49)) == []
    found = only(facts(train + 0.6))
    assert found.name == "test_gap"
    assert found.value == pytest.approx(0.6)
    assert f"{train + 0.6:.3f}, is far above the training loss, {train:.3f}" in found.message


def test_a_test_loss_after_a_few_steps_is_blamed_on_batch_norm() -> None:
    assert 0.9**44 < 0.01 < 0.9**43
    few, many = (
        only(replace(TRAINED, summary={**TRAINED.summary, "test/loss": 24.0, "steps": steps})) for steps in (12, 44)
    )
    assert "after 12 steps the averages of BatchNorm are not settled" in few.message
    assert "by heart" in many.message


def compared(found: float, others: Sequence[float], **more: float) -> Mapping[str, float]:
    scores = {f"random/test_accuracy_{number}": other for number, other in enumerate(others, 1)}
    return {"test/accuracy": found, "random/cells": len(others), "test/images": 355, **scores, **more}


def test_a_score_within_the_intervals_of_random_cells_is_said_to_show_nothing() -> None:
    found = only(RunFacts(summary=compared(0.9887, [0.9887, 0.9915, 0.9859])))
    assert found.name == "as_random"
    assert "0.9887, does not differ from that of 3 random cells" in found.message
    # Wilson's intervals of 351 and 319 of 355 images, 0.971 to 0.996 and 0.863 to 0.926, do not touch.
    assert run_warnings(RunFacts(summary=compared(351 / 355, [319 / 355]))) == []
    assert run_warnings(RunFacts(summary=compared(319 / 355, [351 / 355]))) == []  # worse, which differs too


def test_perplexities_are_compared_with_the_spread_of_random_cells() -> None:
    def facts(found: float) -> RunFacts:
        return RunFacts(
            summary={"test/perplexity": found, "random/cells": 2, "random/test_perplexity_1": 99.0}
            | {"random/test_perplexity_2": 101.0}
        )

    # t(0.975, 1) * sqrt(2) * sqrt(1 + 1/2) = 22.0 around 100
    assert names(facts(79.0)) == ["as_random"]
    assert names(facts(77.0)) == []


def test_a_warning_of_the_users_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RUN_WARNINGS, "_items", dict(RUN_WARNINGS._items))
    RUN_WARNINGS.add("slow", lambda facts: iter([RunWarning("slow", "Too slow.", 9.0, 1.0)]))
    assert names(RunFacts()) == ["slow"]


def test_the_limit_of_the_entropy_is_that_of_mixing_weights_that_differ_by_a_fifth() -> None:
    logits = [0.2, -0.2] * 4  # standard deviation 0.2
    total = sum(map(math.exp, logits))
    entropy = -sum(math.exp(one) / total * math.log(math.exp(one) / total) for one in logits)
    assert 1 - entropy / math.log(8) == pytest.approx(LEAST_ENTROPY_FALL, rel=0.1)


def test_the_page_for_users_lists_every_warning() -> None:
    page = (Path(__file__).parents[2] / "docs" / "runs.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == list(RUN_WARNINGS)
