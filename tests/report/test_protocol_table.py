"""The tables of a protocol, against numbers worked out by hand and by SciPy, and against the zoo's networks."""

import csv

import pytest
import torch
from scipy import stats

from darts_pl.report.protocol_rows import (
    Cost,
    Measure,
    ProtocolRow,
    comparisons,
    rows_from_json,
    rows_to_json,
)
from darts_pl.report.protocol_table import protocol_csv, protocol_markdown
from darts_pl.report.published_results import SOURCES, published_results
from darts_pl.spaces import build, count_parameters
from darts_pl.zoo import ZOO, published

IMAGES, WORDS = Measure("accuracy", "images"), Measure("perplexity", "words")
SEARCHED = ProtocolRow(
    "searched",
    "gradient-based",
    choice={0: 0.80, 1: 0.81, 2: 0.79, 3: 0.80},
    valid_count=2000,
    finals={0: 0.90, 1: 0.92},
    test_count=1000,
    chosen=1,
    genotype="a cell",
    parameters=3_340_000,
    operations=7,
    entropy_fall=0.30,
    search=Cost(172_800, 100, 6400),
    selection=Cost(10, 5, 320),
)
RANDOM = ProtocolRow(
    "random", "random", choice={0: 0.70, 1: 0.72, 2: 0.69, 3: 0.71, 4: 0.9, 5: None}, valid_count=2000, chosen=4
)


def cells(text: str, start: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_results_have_the_papers_columns_with_the_interval_beside_them():
    text = protocol_markdown([SEARCHED, RANDOM], IMAGES, "made so", "cifar10")
    limits = stats.binomtest(90, 1000).proportion_ci(method="wilson")
    assert cells(text, "searched") == [
        *("searched", "9.00 ± 1.41 (n = 2)", f"{100 * limits.low:.2f} to {100 * limits.high:.2f}"),
        *("3.3", "2.0", "7", "gradient-based"),
    ]
    assert "| PNAS | 3.41 ± 0.09 |  | 3.2 | 225 GPU | 8 | SMBO, published |" in text
    assert SOURCES["cifar10"] in text
    assert "published" not in protocol_markdown([SEARCHED], IMAGES, "made so", None)


def test_a_search_whose_mixing_weights_did_not_move_is_marked():
    still = ProtocolRow("still", "gradient-based", choice={0: 0.5}, chosen=0, entropy_fall=0.049)
    moved = ProtocolRow("moved", "gradient-based", choice={0: 0.5}, chosen=0, entropy_fall=0.05)
    text = protocol_markdown([still, moved, RANDOM], IMAGES, "", None)
    assert cells(text, "still")[-1] == "gradient-based, not searched"
    assert cells(text, "moved")[-1] == "gradient-based"
    assert "4.9 % (not searched)" in text
    rows = csv.DictReader(protocol_csv([still, moved, RANDOM], IMAGES, None).splitlines())
    assert [row["searched"] for row in rows] == ["no", "yes", ""]


def test_a_row_is_better_only_where_the_interval_of_the_paired_difference_excludes_zero():
    near = ProtocolRow("near", "gradient-based", choice={0: 0.81, 1: 0.79, 2: 0.82, 3: 0.80})
    found = {(one.first, one.second): one for one in comparisons([SEARCHED, near, RANDOM], IMAGES)}
    assert [one.verdict for one in found.values()] == ["no difference shown", "better", "better"]
    ours, theirs = [0.80, 0.81, 0.79, 0.80], [0.70, 0.72, 0.69, 0.71]
    expected = stats.ttest_rel(ours, theirs).confidence_interval()
    one = found["searched", "random"]
    assert (one.difference.n, one.difference.low, one.difference.high) == (
        4,
        pytest.approx(expected.low),
        pytest.approx(expected.high),
    )
    line = "| searched | random | valid | 4 | +9.50 | +8.58 to +10.42 | better |"
    assert line in protocol_markdown([SEARCHED, near, RANDOM], IMAGES, "", None)
    assert 100 * expected.low == pytest.approx(8.58, abs=5e-3)


def test_full_trainings_that_differ_by_less_than_the_images_say_are_not_called_better():
    rows = [
        ProtocolRow("one", "gradient-based", finals={0: 0.545, 1: 0.539}, test_count=10_000),
        ProtocolRow("other", "random", finals={0: 0.5340, 1: 0.5282}, test_count=10_000),
    ]
    (small,) = comparisons(rows, IMAGES)
    paired = stats.ttest_rel([0.545, 0.539], [0.5340, 0.5282]).confidence_interval()
    assert paired.low > 0  # the seeds alone would say so
    assert (small.difference.low < 0 < small.difference.high, small.verdict) == (True, "no difference shown")
    far = ProtocolRow("far", "random", finals={0: 0.5140, 1: 0.5082}, test_count=10_000)
    (large,) = comparisons([rows[0], far], IMAGES)
    assert large.verdict == "better"


def test_a_smaller_perplexity_is_the_better_one():
    low = ProtocolRow("low", "gradient-based", choice={0: 60.0, 1: 61.0}, chosen=0, finals={0: 57.6})
    high = ProtocolRow("high", "random", choice={0: 70.0, 1: 70.9}, chosen=0)
    (one,) = comparisons([low, high], WORDS)
    assert one.verdict == "better"
    text = protocol_markdown([low, high], WORDS, "", "ptb")
    assert cells(text, "low")[:3] == ["low", "60.00", "57.60 (n = 1)"]
    assert cells(text, "DARTS (first order)")[1:4] == ["60.2", "57.6", "23"]  # Liu et al., ICLR 2019, table 2


def test_the_spread_of_random_cells_stands_against_the_interval_of_one_score():
    text = protocol_markdown([SEARCHED, RANDOM], IMAGES, "", None)
    scores = [0.70, 0.72, 0.69, 0.71, 0.9]
    limits = stats.binomtest(round(2000 * sum(scores) / 5), 2000).proportion_ci(method="wilson")
    spread = 100 * float(torch.tensor(scores, dtype=torch.float64).std())
    half = 100 * (limits.high - limits.low) / 2
    assert f"standard deviation of {spread:.2f}; half the 95 % interval of one score is {half:.2f}." in text
    assert cells(text.partition("# Choice")[2], "random")[-1] == "1"  # the one that failed


def test_rows_survive_their_file():
    assert rows_from_json(rows_to_json([SEARCHED, RANDOM])) == [SEARCHED, RANDOM]


def test_the_published_size_of_the_second_order_cell_is_that_of_its_network():
    (row,) = [one for one in published_results("cifar10") if one.genotype == "darts_v2"]
    with torch.device("meta"):
        network = build(published("darts_v2"), init_channels=36, layers=20, classes=10, in_channels=3, auxiliary=False)
    assert round(count_parameters(network) / 1e6, 1) == row.parameters_m


@pytest.mark.parametrize("table", SOURCES)
def test_the_genotypes_of_published_rows_are_in_the_zoo(table):
    assert {one.genotype for one in published_results(table)} - {None} <= set(ZOO)
