"""docs/strategies.md names what there is, and its examples do what it says."""

import csv
import re
from pathlib import Path

import pytest
from scipy.stats import kendalltau, spearmanr

from darts_pl.strategies import STRATEGIES
from tests.strategies.conftest import ENCODINGS, FILES
from tests.strategies.test_contract import advance

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)


def test_every_strategy_has_a_paragraph_and_a_command():
    section = DOCUMENT.partition("## The strategies")[2]
    paragraphs = re.findall(r"^\*\*(\w+)\*\*", section, flags=re.MULTILINE)
    assert re.findall(r"^python run\.py task=strategy strategy=(\w+) ", section, flags=re.MULTILINE) == paragraphs
    assert set(paragraphs) == set(STRATEGIES.list())


def test_the_rank_correlations_of_the_scores_are_those_of_the_rows():
    rows = list(csv.DictReader((ROOT / "docs" / "results" / "zero_cost.csv").read_text().splitlines()))
    accuracies = [float(row["score"]) for row in rows]
    table = re.findall(r"^\| `(\w+)` \| ([\d.]+) \([^|]*\| [^|]*\| ([\d.]+) \(", DOCUMENT, flags=re.MULTILINE)
    assert {name for name, _, _ in table} == set(rows[0]) - {"genotype", "score"}
    for name, rho, tau in table:
        scores = [float(row[name] or "-inf") for row in rows]  # a cell without a score counts as the worst
        assert f"{spearmanr(scores, accuracies).statistic:.2f}" == rho
        assert f"{kendalltau(scores, accuracies).statistic:.2f}" == tau


def test_every_file_of_settings_is_mentioned():
    assert [file for file in FILES if f"`{file}`" not in DOCUMENT and f"**{file}**" not in DOCUMENT] == []


def test_the_first_example_finds_a_cell_without_max_pooling(tmp_path, capsys):
    def score(genotype):
        return -sum(pair.operation == "max_pool_3x3" for cell in genotype.cells.values() for pair in cell.pairs)

    exec(EXAMPLES[0], {"score": score, "folder": tmp_path})
    assert "max_pool_3x3" not in capsys.readouterr().out
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 100


@pytest.fixture
def greedy(monkeypatch):
    """The strategy of the second example, registered for one test."""
    monkeypatch.setattr(STRATEGIES, "_items", dict(STRATEGIES._items))
    monkeypatch.setattr(STRATEGIES, "_origins", dict(STRATEGIES._origins))
    names = {"__name__": "example"}
    exec(EXAMPLES[1], names)
    return STRATEGIES.get("greedy"), names["GreedySettings"](explore=0.2)


def test_the_strategy_of_the_documentation_is_one_that_can_be_stopped(greedy):
    strategy, settings = greedy
    encoding = ENCODINGS["cnn"]
    whole = advance(strategy(encoding, settings, 0), 30)
    stopped = strategy(encoding, settings, 0)
    assert advance(stopped, 13) == whole[:13]
    continued = strategy(encoding, settings, 0)
    continued.load_state_dict(stopped.state_dict())
    assert advance(continued, 17) == whole[13:]
