"""What each strategy asks, against its rule written down again, a closed form, or the library behind it."""

import itertools
import math
import random
from collections import Counter

import optuna
import pytest

from darts_pl.errors import UserError
from darts_pl.spaces import build_space
from darts_pl.strategies import Encoding, build_strategy, pareto_front
from darts_pl.strategies.by_optuna.optuna_study import quiet
from tests.strategies.conftest import ENCODINGS, fully_connected, settings_of, small

ADDITIVE = ENCODINGS["fully_connected"]
ONE_DECISION = fully_connected(nodes=1)


def additive(integers) -> float:
    """A score without interactions; its only optimum is (3, 3, 3, 3, 3, 3)."""
    return -float(sum(abs(value - 3) for value in integers))


def play(strategy, count, score=additive):
    found = []
    for _ in range(count):
        question = strategy.ask()
        strategy.tell(question, (score(question.integers),))
        found.append(question.integers)
    return found


def changes(one, other) -> int:
    return sum(left != right for left, right in zip(one, other, strict=True))


def test_distinct_random_questions_exhaust_a_small_space():
    encoding = Encoding(build_space("rnn", ("none", "tanh", "relu"), 2))
    strategy = small("random", encoding)
    strategy.settings = type(strategy.settings)(distinct=True)
    assert len(set(play(strategy, 8))) == 8 == (1 * 2) * (2 * 2)


def test_local_search_climbs_to_the_optimum_and_starts_again():
    strategy = small("local_search", ADDITIVE)
    asked = play(strategy, 1)
    start = asked[0]
    # The best neighbour is one step nearer in one decision; all 24 neighbours are asked before each move,
    # but for those that are known already.
    steps = sum(value != 3 for value in start)
    assert asked[0] != (3,) * 6
    center, known = start, {start}
    for _ in range(steps + 1):
        neighbours = {one for one in ADDITIVE.neighbours(center) if one not in known}
        asked = play(strategy, len(neighbours))
        assert set(asked) == neighbours
        known |= neighbours
        center = max(known, key=additive)
    assert center == (3,) * 6
    assert all(one in ADDITIVE.neighbours(center) or one in known for one in known)
    assert play(strategy, 1)[0] not in ADDITIVE.neighbours(center)  # a new start


def test_local_search_with_first_improvement_moves_at_once():
    strategy = small("local_search", ADDITIVE)
    strategy.settings = type(strategy.settings)(starts=1, first_improvement=True)
    center = play(strategy, 1)[0]
    for _ in range(60):
        one = play(strategy, 1)[0]
        if center == (3,) * 6:
            break
        assert one in ADDITIVE.neighbours(center)
        center = max(center, one, key=additive)


def test_children_of_evolution_are_mutants_of_a_living_member_and_the_oldest_dies():
    strategy = small("evolution", ADDITIVE)
    asked = play(strategy, 60)
    population = strategy.settings.population
    for number in range(population, 60):
        alive = asked[number - population : number]
        assert 1 in {changes(asked[number], one) for one in alive}
    assert [integers for integers, _ in strategy.population] == asked[-population:]


def test_the_parent_is_the_best_of_a_sample_drawn_with_replacement():
    strategy = small("evolution", ADDITIVE)
    play(strategy, 8, lambda integers: 0.0)
    members = [(index,) * 6 for index in range(5)]
    strategy.population.clear()
    strategy.population.extend((one, float(rank)) for rank, one in enumerate(members))
    parents = Counter()
    for number in range(3000):
        child = strategy.propose(strategy.random("test", number)).integers
        parents[min(range(5), key=lambda rank: changes(child, members[rank]))] += 1
    for rank in range(5):  # the best of 3 has this rank
        expected = ((rank + 1) / 5) ** 3 - (rank / 5) ** 3
        assert abs(parents[rank] / 3000 - expected) < 4 * math.sqrt(expected * (1 - expected) / 3000) + 1e-9


def test_successive_halving_promotes_one_in_eta_to_eta_times_the_epochs():
    strategy = small("successive_halving", ADDITIVE)  # 1, 3 and 9 epochs
    asked = {1: [], 3: [], 9: []}
    for _ in range(9 + 3 + 1):
        question = strategy.ask()
        asked[question.epochs].append(question.integers)
        strategy.tell(question, (additive(question.integers) + 0.01 * len(asked[1]),))
    assert {epochs: len(one) for epochs, one in asked.items()} == {1: 9, 3: 3, 9: 1}
    scores = {one: additive(one) + 0.01 * number for number, one in enumerate(asked[1], start=1)}
    assert asked[3] == sorted(scores, key=scores.__getitem__, reverse=True)[:3]
    assert strategy.ask().epochs == 1  # a new bracket


def test_the_tree_search_visits_arms_as_the_upper_confidence_bound_says():
    worth = (0.0, 1.0, 0.4, 0.7, 0.2)
    strategy = small("mcts", ONE_DECISION)
    asked = [one[0] for one in play(strategy, 200, lambda integers: worth[integers[0]])]
    assert set(asked[:5]) == set(range(5))
    visits = Counter(asked[:5])
    for number in range(5, 200):
        bounds = {arm: worth[arm] + 2 * 0.5 * math.sqrt(2 * math.log(number) / visits[arm]) for arm in range(5)}
        assert bounds[asked[number]] == pytest.approx(max(bounds.values()))
        visits[asked[number]] += 1
    assert visits.most_common(1)[0][0] == 1


def test_bisection_shares_what_is_learned_among_neighbouring_choices():
    strategy = small("mcts_bisection", ONE_DECISION)
    play(strategy, 60, lambda integers: float(integers[0] >= 3))
    # Five choices: {0, 1, 2} and {3, 4} at the first node of the tree.
    assert strategy.tree[(0,)].visits + strategy.tree[(1,)].visits == 60
    assert strategy.tree[(1,)].total == strategy.tree[(1,)].visits > strategy.tree[(0,)].visits
    assert max(map(len, strategy.tree)) == math.ceil(math.log2(5))


def test_epsilon_follows_the_published_schedule():
    strategy = small("q_learning", ADDITIVE)
    strategy.settings = type(strategy.settings)(**{**vars(strategy.settings), "speed": 1.0})
    assert [strategy.epsilon(number) for number in (0, 1499, 1500, 1799, 1800, 1949, 2699, 10_000)] == [
        *(1.0, 1.0, 0.9, 0.7, 0.6, 0.6, 0.1, 0.1)
    ]


def test_q_values_are_those_of_the_update_rule():
    encoding = fully_connected(("skip_connect", "nor_conv_3x3"), nodes=2)
    strategy = small("q_learning", encoding)
    strategy.settings = type(strategy.settings)(**{**vars(strategy.settings), "replays": 0, "rate": 0.25})
    asked = play(strategy, 40, lambda integers: float(sum(integers)))
    values, seen = {}, []
    for integers in asked:
        seen.append(sum(integers))
        low, high = min(seen), max(seen)
        reward = (seen[-1] - low) / (high - low) if high > low else 0.5
        for index in (2, 1, 0):
            state = (index, integers[index - 1] if index else 0)
            after = [values.get((index + 1, integers[index], choice), 0.5) for choice in (0, 1)]
            target = reward if index == 2 else max(after)
            old = values.get((*state, integers[index]), 0.5)
            values[(*state, integers[index])] = old + 0.25 * (target - old)
    assert strategy.values == pytest.approx(values)


def test_q_learning_is_greedy_where_epsilon_is_zero():
    strategy = small("q_learning", ADDITIVE)
    strategy.settings = type(strategy.settings)(**{**vars(strategy.settings), "epsilon": (0.0,), "questions": (1,)})
    strategy.values = {(index, before, 2): 0.9 for index in range(6) for before in range(5)}
    assert strategy.ask().integers == (2,) * 6


def test_progressive_search_extends_the_best_of_the_beam_node_by_node():
    encoding = ENCODINGS["rnn"]
    strategy = small("pnas", encoding)
    play(strategy, 4)
    parents = set()
    for nodes in range(1, 5):
        strategy._extend(random.Random(nodes))
        stop = encoding.nodes[nodes - 1].stop
        assert strategy.decided == nodes
        assert len({one[:stop] for one in strategy.beam}) == len(strategy.beam) <= 4
        if nodes > 1:
            before = encoding.nodes[nodes - 2].stop
            assert {one[:before] for one in strategy.beam} <= parents
        parents = {one[:stop] for one in strategy.beam}
        for one in strategy.queue:
            assert one[:stop] in parents
        play(strategy, len(strategy.queue))


@pytest.mark.parametrize("file", ["pnas", "bayesian"])
def test_model_based_strategies_find_the_optimum_of_an_additive_score_in_few_questions(file):
    # 1 of 15,625 genotypes; 90 random questions include it with a probability of 0.6 %.
    settings = settings_of(file)
    strategies = [build_strategy(settings["name"], ADDITIVE, settings, seed) for seed in range(2)]
    assert [max(map(additive, play(strategy, 90))) for strategy in strategies] == [0, 0]


def test_bayesian_optimization_with_transport_finds_the_best_of_125_cells_in_30_questions():
    encoding = fully_connected(nodes=2)
    best = [max(map(additive, play(small("bayesian_transport", encoding, seed), 30))) for seed in range(4)]
    assert best == [0, 0, 0, 0]  # each random search of 30 questions finds it with a probability of 21 %


def test_bayesian_optimization_asks_no_genotype_twice():
    encoding = Encoding(build_space("rnn", ("none", "tanh", "relu"), 3))  # 48 genotypes
    asked = play(small("bayesian", encoding), 30, lambda integers: float(sum(integers)))
    assert len(set(asked[4:])) == 26


def test_optuna_s_questions_are_those_that_its_sampler_gives_for_the_same_trials():
    encoding = ENCODINGS["cnn"]
    strategy = small("optuna", encoding)
    asked = play(strategy, 25, lambda integers: -float(sum(integers)))
    with quiet():
        study = optuna.create_study(direction="maximize")
        for number, integers in enumerate(asked):
            seed = strategy.random("ask", number).getrandbits(32)
            study.sampler = optuna.samplers.TPESampler(n_startup_trials=5, n_ei_candidates=24, seed=seed)
            trial = study.ask()
            found = []
            for node in encoding.nodes:
                place = f"{node.cell}/node{node.target}"
                chosen = trial.suggest_categorical(f"{place}/inputs", list(range(len(node.inputs))))
                found.append(chosen)
                found += [
                    trial.suggest_categorical(f"{place}/from{source}", [0, 1, 2]) for source in node.inputs[chosen]
                ]
            assert tuple(found) == integers
            study.tell(trial, -float(sum(integers)))


def test_the_pareto_front_is_that_of_optuna_s_study():
    strategy = small("nsga2", ADDITIVE)
    scores = []
    for _ in range(40):
        question = strategy.ask()
        scores.append((additive(question.integers), -float(question.integers[0] + question.integers[3])))
        strategy.tell(question, scores[-1])
    assert pareto_front(scores) == sorted(trial.number for trial in strategy.study.study.best_trials)


def test_nsga2_moves_the_front_outwards():
    def volume(scores):  # of the box down to (-18, -8) that the front dominates
        return sum(any(a >= x and b >= y for a, b in scores) for x, y in itertools.product(range(-18, 1), range(-8, 1)))

    def run(file, seed):
        strategy, scores = small(file, ADDITIVE, seed), []
        for _ in range(120):
            question = strategy.ask()
            scores.append((additive(question.integers), -float(question.integers[0] + question.integers[3])))
            strategy.tell(question, scores[-1])
        return volume(scores)

    assert sum(run("nsga2", seed) > run("random", seed) for seed in range(6)) >= 5


def test_nsga2_needs_as_many_scores_as_it_has_objectives():
    strategy = small("nsga2", ADDITIVE)
    with pytest.raises(UserError, match=r"strategy\.objectives=2: the evaluator gives 1; use strategy\.objectives=1"):
        strategy.tell(strategy.ask(), (1.0,))
