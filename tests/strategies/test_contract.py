"""What holds for every strategy on every kind of space."""

import functools
import json
import math

import pytest

from darts_pl.errors import UserError
from darts_pl.settings import check
from darts_pl.strategies import STRATEGIES, Question, build_strategy
from tests.strategies.conftest import CONF, DIFFERENT, ENCODINGS, FILES, settings_of, small

QUESTIONS = 15


def score(question: Question) -> tuple[float, ...]:
    """Two scores with a preference for some operations; every sixth evaluation fails, every ninth is nan."""
    value = sum(math.sin(3 * index + 7 * one) for index, one in enumerate(question.integers))
    return value, -float(sum(question.integers))


def answer(strategy, question) -> None:
    scores = score(question) if strategy.settings_class.__name__ == "Nsga2Settings" else score(question)[:1]
    if question.number % 6 == 5:
        strategy.tell(question, None)
    elif question.number % 9 == 4:
        strategy.tell(question, (math.nan,) * len(scores))
    else:
        strategy.tell(question, scores)


def advance(strategy, count: int) -> list[Question]:
    found = []
    for _ in range(count):
        question = strategy.ask()
        answer(strategy, question)
        found.append(question)
    return found


@functools.cache
def asked(file: str, encoding, seed: int = 0) -> list[Question]:
    """The first questions of a strategy that was never stopped."""
    return advance(small(file, encoding, seed), QUESTIONS)


def reloaded(strategy, file: str, encoding):
    """A new strategy with the state of another one, by way of strict JSON."""
    new = small(file, encoding, strategy.seed)
    new.load_state_dict(json.loads(json.dumps(strategy.state_dict(), allow_nan=False)))
    return new


def test_every_strategy_has_a_file_of_settings_with_its_name():
    assert {settings_of(file)["name"] for file in FILES} == set(STRATEGIES.list())
    assert set(STRATEGIES.list()) <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_the_settings_of_a_file_are_all_of_the_strategy_s_and_within_their_ranges(file):
    values = settings_of(file)
    strategy = build_strategy(values["name"], ENCODINGS["rnn"], values, seed=0)
    check(strategy.settings, "strategy")


@pytest.mark.parametrize("file", FILES)
def test_every_value_of_a_file_has_its_source_beside_it(file):
    first, *lines = (CONF / f"{file}.yaml").read_text(encoding="utf-8").splitlines()
    values = [line for line in lines if not line.startswith(("#", "name:"))]
    assert first.startswith("# ")
    assert [line for line in values if not line.partition(" # ")[2]] == []


def test_a_wrong_setting_is_named_with_its_value():
    values = settings_of("evolution")
    with pytest.raises(UserError, match=r"strategy\.populaton: unknown setting; known: population, sample"):
        build_strategy("evolution", ENCODINGS["rnn"], values | {"populaton": 3}, 0)
    with pytest.raises(UserError, match=r"strategy\.sample=101: must be at most strategy\.population=100"):
        build_strategy("evolution", ENCODINGS["rnn"], values | {"sample": 101}, 0)
    with pytest.raises(UserError, match=r"strategy\.sample is missing"):
        build_strategy("evolution", ENCODINGS["rnn"], {"population": 3, "source_fraction": None}, 0)
    with pytest.raises(UserError, match="unknown strategy 'evolutoin'; did you mean 'evolution'"):
        build_strategy("evolutoin", ENCODINGS["rnn"], values, 0)


@pytest.mark.parametrize("file", DIFFERENT)
def test_every_question_is_a_genotype_of_the_space(file, encoding):
    for question in asked(file, encoding):
        assert encoding.is_valid(question.integers)
        assert encoding.encode(question.genotype) == question.integers


@pytest.mark.parametrize("file", DIFFERENT)
def test_the_seed_alone_decides_about_the_questions(file, encoding):
    first, other = asked(file, encoding), asked(file, encoding, seed=2)
    assert advance(small(file, encoding), QUESTIONS) == first
    assert [one.integers for one in other] != [one.integers for one in first]


@pytest.mark.parametrize("file", DIFFERENT)
def test_stopped_after_any_answer_it_goes_on_as_if_it_had_not_been(file, encoding):
    whole = asked(file, encoding)
    strategy = small(file, encoding)
    for number in range(QUESTIONS):  # stopped and continued after every single answer
        assert advance(strategy, 1) == [whole[number]]
        strategy = reloaded(strategy, file, encoding)
    assert strategy.state_dict() == reloaded(strategy, file, encoding).state_dict()


@pytest.mark.parametrize("file", DIFFERENT)
def test_several_questions_may_be_open_and_are_so_after_a_restart(file, encoding):
    def batches(strategy, restart):
        found = []
        for _ in range(4):
            questions = [strategy.ask() for _ in range(4)]
            found += [question.integers for question in questions]
            if restart:
                strategy = reloaded(strategy, file, encoding)
                assert strategy.open_questions() == questions
            for question in questions:
                answer(strategy, question)
        return found

    assert batches(small(file, encoding), restart=True) == batches(small(file, encoding), restart=False)


@pytest.mark.parametrize("file", DIFFERENT)
@pytest.mark.parametrize("scores", [None, (math.nan, math.nan), (-math.inf, 0.0), ()], ids=str)
def test_a_strategy_survives_that_everything_fails(file, scores):
    encoding = ENCODINGS["rnn"]
    strategy = small(file, encoding)
    for _ in range(QUESTIONS):
        question = strategy.ask()
        assert encoding.is_valid(question.integers)
        strategy.tell(question, scores)
    json.dumps(strategy.state_dict(), allow_nan=False)


@pytest.mark.parametrize("file", DIFFERENT)
def test_an_answer_to_a_question_that_is_not_open_is_an_error(file):
    strategy = small(file, ENCODINGS["rnn"])
    question = strategy.ask()
    answer(strategy, question)
    with pytest.raises(ValueError, match=r"question 0 .* is not open"):
        answer(strategy, question)
