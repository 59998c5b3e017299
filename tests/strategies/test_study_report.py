"""The page about the comparison of strategies: its sentences, its tables and its picture follow from the rows."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import strategies
from strategy_report import comparisons, correction, interval, not_run, paired_lines, table_lines, write_report


def texts_of(picture: bytes) -> list[str]:
    """The texts of a picture by matplotlib, which draws letters as paths and writes each text beside them."""
    return re.findall(r"<!-- (.*) -->", picture.decode())


RESULTS = Path(__file__).parents[2] / "docs" / "results"
STUDIES = {
    one: list(strategies.read(RESULTS / f"strategies_{one}.csv")) for one in ("nasbench201", "synthetic", "surrogate")
}


def test_the_page_and_the_picture_of_the_results_are_those_of_their_rows(tmp_path):
    write_report(tmp_path, STUDIES)
    assert (tmp_path / "strategies.md").read_text() == (RESULTS / "strategies.md").read_text()
    shown, fresh = (texts_of((folder / "strategies_nasbench201.svg").read_bytes()) for folder in (RESULTS, tmp_path))
    assert shown == fresh
    searches = Counter(row["strategy"] for row in STUDIES["nasbench201"])
    assert f"random ({searches.pop('random')} searches)" in shown
    assert {f"{name} ({count})" for name, count in searches.items()} <= set(shown)


def test_new_rows_change_the_sentences_about_the_comparisons():
    """Scores whose differences from random search are all positive, for as many seeds as each name says."""

    def sentence(**seeds):
        rows = [
            {"strategy": name, "seed": str(seed), "best_300": str(0.1 * (name != "random") * (seed + 1) + seed)}
            for name, count in {"random": 30, **seeds}.items()
            for seed in range(count)
        ]
        return " ".join(correction(comparisons(rows)).split())

    # The signed-rank test of n positive differences has p = 2^-n.
    one = sentence(evolution=7)
    assert "the 1 comparison of this table" in one
    assert "need a p below 1.0e-02. `evolution` reaches that." in one
    assert sentence(evolution=7, pnas=20).endswith(
        "need a p below 5.0e-03. `pnas` reaches that. `evolution` does not. 7 seeds allow no p below 7.8e-03."
    )
    assert sentence(evolution=7, pnas=7, mcts=7).endswith(
        "need a p below 3.3e-03. No strategy reaches that. 7 seeds allow no p below 7.8e-03."
    )
    both = sentence(evolution=20, pnas=20, mcts=3)
    assert "the 3 comparisons" in both
    assert "`evolution` and `pnas` reach that." in both
    assert "mcts" not in both


def test_pairs_are_those_of_the_same_seed():
    scores = {"random": {0: 0.1, 1: 0.2, 3: 0.4}, "evolution": {1: 0.5, 3: 0.9, 4: 2.0}}
    rows = [
        {"strategy": name, "seed": str(seed), "best_300": str(score)}
        for name, own in scores.items()
        for seed, score in own.items()
    ]
    compared = comparisons(rows)["evolution"]
    assert compared.difference == pytest.approx([0.3, 0.5])
    assert compared.probability == pytest.approx(1 / 4)


def test_a_strategy_that_a_study_lacks_is_named_with_the_reason():
    rows = {
        study: [{"strategy": name} for name in names]
        for study, names in {
            "nasbench201": ["random", "nsga2"],
            "synthetic": ["random", "mcts"],
            "surrogate": [],
        }.items()
    }
    assert not_run("synthetic", rows) == ["", "Not run: `nsga2` (one score only)."]
    assert not_run("nasbench201", rows) == ["", "Not run: `mcts`."]
    assert not_run("synthetic", rows | {"nasbench201": rows["synthetic"]}) == []


def test_the_tables_state_intervals_and_the_paired_test():
    rows = [
        {"strategy": name, "seed": str(seed), "best_100": "0.5", "best_300": str(value + 0.02 * seed)}
        for name, value in (("random", 0.5), ("evolution", 0.6))
        for seed in range(10)
    ]
    lines = list(paired_lines(rows, 2))
    assert lines[2].startswith("| `evolution` | 10 | 0.50 ± 0.00 | 0.69 ± 0.06 | 0.10 to 0.10 |")
    assert lines[2].endswith("| yes |")
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert interval(values) == pytest.approx(3.1824 * np.sqrt(5 / 3) / 2, abs=1e-3)  # t of 3 degrees of freedom
    rows = [
        {"strategy": "random", "seed": "0", "test": "93", "evaluations": "9", "valid": "84.1"},
        {"strategy": "random", "seed": "1", "test": "94", "evaluations": "11", "valid": "84.892"},
    ]
    table = list(table_lines(rows, best=84.8919))
    assert table[2] == "| `random` | 93.50 ± 0.71 | 87.15 to 99.85 | 93.70 ± 0.36 | 10 | 1 of 2 |"
