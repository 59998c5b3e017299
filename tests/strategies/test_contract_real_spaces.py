"""What holds for every strategy on the search spaces that commands have: the paper's two, and NAS-Bench-201."""

import functools
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from darts_pl.genotype import parse
from darts_pl.spaces.nasbench201 import NasBench201
from darts_pl.strategies import Encoding
from darts_pl.strategies.strategy import FAILED
from darts_pl.tasks.evaluation.strategy_run import encoding_of
from tests.strategies.conftest import DIFFERENT, small
from tests.strategies.test_contract import advance, answer, reloaded

QUESTIONS = 10
#: After how many answers a strategy is stopped.
STOPS = (1, 5, 9)
SEARCHES = ("cnn", "rnn", "nasbench201")
#: They take too long for the quick tests on cells of 8 pairs twice, or of 8 nodes.
SLOW = {"bayesian_transport", "enas", "reinforce", "pnas"}
CASES = [
    pytest.param(file, search, marks=[pytest.mark.slow] if file in SLOW and search != "nasbench201" else [])
    for file in DIFFERENT
    for search in SEARCHES
]


def settings_of_search(search: str) -> SimpleNamespace:
    """What conf/search/SEARCH.yaml says of the space; its section `search`."""
    path = Path(__file__).parents[2] / "conf" / "search" / f"{search}.yaml"
    return SimpleNamespace(**yaml.safe_load(path.read_text(encoding="utf-8"))["search"])


@functools.cache
def encoding_for(search: str) -> Encoding:
    return encoding_of(SimpleNamespace(search=settings_of_search(search)))


@functools.cache
def asked(file: str, search: str, seed: int = 0) -> list:
    """The first questions of a strategy that was never stopped."""
    return advance(small(file, encoding_for(search), seed), QUESTIONS)


def problems_of(genotype, search: str) -> list[str]:
    """What the genotype breaks of the space's definition, which is read from the file of settings alone."""
    settings = settings_of_search(search)
    types, inputs, pairs = {
        "cnn": (["normal", "reduce"], 2, 2),
        "rnn": (["recurrent"], 1, 1),
        "nasbench201": (["cell"], 1, None),
    }[search]
    found = [] if sorted(genotype.cells) == types else [f"cells {sorted(genotype.cells)}"]
    for cell in genotype.cells.values():
        found += [] if len(cell.nodes) == settings.nodes else [f"{len(cell.nodes)} nodes"]
        for index, node in enumerate(cell.nodes):
            earlier = index + inputs
            sources = [pair.source for pair in node]
            wanted = list(range(earlier)) if pairs is None else None
            if len(set(sources)) != len(sources) or not set(sources) <= set(range(earlier)):
                found.append(f"node {index} reads {sources}")
            if sorted(sources) != wanted if wanted is not None else len(sources) != pairs:
                found.append(f"node {index} reads {sources}")
            known = [one for one in settings.candidates if one != "none" or pairs is None]
            found += [f"operation {pair.operation}" for pair in node if pair.operation not in known]
    return found


@pytest.mark.parametrize(("file", "search"), CASES)
def test_every_question_is_a_genotype_that_the_space_s_settings_allow(file, search):
    for question in asked(file, search):
        assert problems_of(question.genotype, search) == []
        assert parse(str(question.genotype)) == question.genotype
        if search == "nasbench201":  # the table has every cell of the space, under its text
            assert NasBench201().lookup(str(question.genotype)).text == str(question.genotype)


@pytest.mark.parametrize(("file", "search"), CASES)
def test_the_seed_alone_decides_about_the_questions(file, search):
    assert advance(small(file, encoding_for(search)), QUESTIONS) == asked(file, search)
    assert [one.integers for one in asked(file, search, seed=2)] != [one.integers for one in asked(file, search)]


@pytest.mark.parametrize(("file", "search"), CASES)
def test_a_state_and_the_same_answers_again_lead_to_the_same_questions(file, search):
    encoding, whole = encoding_for(search), asked(file, search)
    original = small(file, encoding)
    for stop in STOPS:
        advance(original, stop - original.told)
        loaded, replayed = reloaded(original, file, encoding), small(file, encoding)
        for question in whole[:stop]:
            assert replayed.ask() == question
            answer(replayed, question)
        states = [json.dumps(one.state_dict(), sort_keys=True) for one in (original, loaded, replayed)]
        assert states[0] == states[1] == states[2]
        assert advance(loaded, QUESTIONS - stop) == advance(replayed, QUESTIONS - stop) == whole[stop:]


@pytest.mark.parametrize(("file", "search"), CASES)
def test_failures_are_the_worst_answers_whatever_says_so(file, search):
    """None, nan and infinity as scores of every second question lead a strategy to the same questions."""
    encoding, histories = encoding_for(search), []
    for failure in (None, (math.nan, math.nan), (math.inf, 0.0)):
        strategy, learned = small(file, encoding), []
        learn = strategy.learn

        def watching(question, scores, learn=learn, learned=learned):
            learned.append(scores)
            learn(question, scores)

        strategy.learn = watching
        questions = []
        for number in range(QUESTIONS):
            question = strategy.ask()
            strategy.tell(question, failure if number % 2 else (float(number), -1.0))
            questions.append(question)
        assert [scores for scores in learned if scores[0] == FAILED] == [(FAILED,)] * (QUESTIONS // 2)
        assert all(encoding.is_valid(question.integers) for question in questions)
        json.dumps(strategy.state_dict(), allow_nan=False)
        histories.append([question.integers for question in questions])
    assert histories[0] == histories[1] == histories[2]
