"""The controller against enumeration of a small space, the policy gradient against finite differences."""

import itertools
import math
import random

import pytest
import torch
from scipy.stats import chisquare

from darts_pl.genotype import Genotype
from darts_pl.spaces import CellSpace, SearchSpace, build_space
from darts_pl.strategies import Encoding
from darts_pl.strategies.controllers.controller import Controller, Logits
from darts_pl.strategies.controllers.policy_gradient import PolicyGradient, pack, unpack
from tests.strategies.conftest import ENCODINGS, fully_connected, small

LOGITS = {
    "linear": Logits(attention=False),
    "attention": Logits(attention=True),
    "limited": Logits(attention=True, temperature=2.0, tanh_constant=1.1, operation_reduce=2.5),
}
PER_EDGE = CellSpace(2, 2, 2, (("a",), ("a", "b"), ("b", "c"), ("a", "b", "c"), ("c",)))
SPACES = {
    "rnn": Encoding(build_space("rnn", ("none", "tanh", "relu"), 3)),
    "per_edge": Encoding(SearchSpace("cnn", {"normal": PER_EDGE, "reduce": PER_EDGE})),
    "fully_connected": fully_connected(("none", "skip_connect", "nor_conv_3x3"), nodes=2),
}


def controller(encoding, logits, init=1.0) -> Controller:
    return Controller(encoding, 8, logits, init, torch.Generator().manual_seed(0))


def every(encoding):
    return [one for one in itertools.product(*map(range, encoding.sizes)) if encoding.is_valid(one)]


@pytest.mark.parametrize("logits", LOGITS.values(), ids=LOGITS)
@pytest.mark.parametrize("space", SPACES)
def test_the_probabilities_of_all_genotypes_add_up_to_one(space, logits):
    whole = every(SPACES[space])
    with torch.no_grad():
        total = controller(SPACES[space], logits).score(whole).log_probability.double().exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-5)


def test_genotypes_are_sampled_with_their_probability():
    encoding = SPACES["rnn"]
    network = controller(encoding, LOGITS["attention"])
    whole = every(encoding)
    drawn = network.sample(3000, torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network.score(whole).log_probability.double().exp() * len(drawn)
    common = [index for index in range(len(whole)) if expected[index] >= 5]
    counts = [drawn.count(whole[index]) for index in common]
    rest = len(drawn) - sum(counts)
    wanted = [expected[index].item() for index in common]
    assert chisquare([*counts, rest], [*wanted, len(drawn) - sum(wanted)], sum_check=False).pvalue > 1e-3


def test_the_entropy_is_that_of_the_distribution():
    # Of one decision the entropy is known; of several, its mean over samples is the entropy of the genotypes.
    encoding = SPACES["rnn"]
    network = controller(encoding, LOGITS["linear"])
    with torch.no_grad():
        sample = network.score(every(encoding))
    probability = sample.log_probability.double().exp()
    entropy = -(probability * sample.log_probability.double()).sum()
    assert (probability * sample.entropy.double()).sum().item() == pytest.approx(entropy.item(), abs=1e-5)


def test_a_tanh_constant_limits_how_sure_a_controller_can_be():
    encoding = fully_connected(("skip_connect", "nor_conv_1x1", "nor_conv_3x3"), nodes=1)
    network = controller(encoding, Logits(True, 1.0, 1.1, 2.5), init=50.0)
    with torch.no_grad():
        probability = network.score(every(encoding)).log_probability.exp()
    # Logits are between -1.1 / 2.5 and 1.1 / 2.5: the ratio of two probabilities is at most exp(2.2 / 2.5).
    assert probability.max() / probability.min() <= math.exp(2.2 / 2.5) * (1 + 1e-5)


def slopes(value, weight) -> list[float]:
    """Central differences of `value()` in every number of a vector."""
    found = []
    for index in range(len(weight)):
        changed = []
        for change in (1e-5, -1e-5):
            with torch.no_grad():
                weight[index] += change
                changed.append(value())
                weight[index] -= change
        found.append((changed[0] - changed[1]) / 2e-5)
    return found


def test_scores_of_genotypes_give_the_gradient_of_the_expected_reward():
    encoding = SPACES["fully_connected"]
    whole = every(encoding)
    reward = torch.tensor([random.Random(str(one)).random() for one in whole], dtype=torch.float64)
    network = controller(encoding, LOGITS["linear"]).double()
    weight = network.operation_head.bias

    def expected() -> float:
        with torch.no_grad():
            return float((network.score(whole).log_probability.exp() * reward).sum())

    # The mean of (reward - baseline) grad log p over all genotypes, each with its probability, for any baseline.
    sample = network.score(whole)
    probability = sample.log_probability.exp().detach()
    (found,) = torch.autograd.grad((probability * (reward - 0.3) * sample.log_probability).sum(), weight)
    assert found.tolist() == pytest.approx(slopes(expected, weight), rel=1e-6, abs=1e-9)


def test_a_step_descends_the_gradient_of_the_advantages_and_of_the_entropy():
    encoding = SPACES["rnn"]
    network = controller(encoding, LOGITS["limited"]).double()
    policy = PolicyGradient(network, lr=1e-9, beta1=0.0, baseline_decay=0.8, entropy_weight=0.05)
    genotypes, rewards = random.Random(0).sample(every(encoding), 4), [0.2, 0.9, 0.5, 0.1]
    baseline, advantages = rewards[0], []
    for reward in rewards:
        baseline = 0.8 * baseline + 0.2 * reward
        advantages.append(reward - baseline)
    weight = network.operation_head.bias

    def gain() -> float:
        with torch.no_grad():
            sample = network.score(genotypes)
        pairs = zip(advantages, sample.log_probability.tolist(), sample.entropy.tolist(), strict=True)
        return sum(advantage * log + 0.05 * entropy for advantage, log, entropy in pairs) / 4

    policy.step(genotypes, rewards)
    assert (-weight.grad).tolist() == pytest.approx(slopes(gain, weight), rel=1e-5, abs=1e-9)


def test_the_baseline_is_an_exponential_moving_mean_and_rewards_raise_probabilities():
    encoding = SPACES["rnn"]
    network = controller(encoding, LOGITS["linear"], init=0.1)
    policy = PolicyGradient(network, lr=0.01, beta1=0.9, baseline_decay=0.8, entropy_weight=0.0)
    good, bad = every(encoding)[:2]
    before = network.score([good, bad]).log_probability
    policy.step([bad, good], [0.0, 1.0])
    after = network.score([good, bad]).log_probability
    assert policy.baseline == pytest.approx(0.8 * 0.0 + 0.2 * 1.0)
    assert after[0] > before[0]
    policy.step([bad], [0.0])
    assert policy.baseline == pytest.approx(0.8 * 0.2)


def test_weights_are_packed_exactly():
    tensor = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)) * 1e-20
    assert torch.equal(unpack(pack(tensor)).reshape(3, 5), tensor)


def test_enas_learns_from_rewards_under_shared_weights_and_chooses_the_best_sample():
    strategy = small("enas", ENCODINGS["fully_connected"])

    def reward(genotype: Genotype) -> float:
        pairs = genotype.cells["recurrent"].pairs
        return sum(pair.operation == "nor_conv_3x3" for pair in pairs) / len(pairs)

    means = [strategy.train(reward) for _ in range(60)]
    assert sum(means[:10]) / 10 == pytest.approx(0.2, abs=0.1)  # one operation of five
    assert sum(means[-10:]) / 10 > 0.24
    same = small("enas", ENCODINGS["fully_connected"])
    same.load_state_dict(strategy.state_dict())
    sampled = same.sample(strategy.settings.choices)
    assert reward(strategy.choose(reward)) == max(map(reward, sampled))


def test_reinforce_finds_what_is_rewarded():
    encoding = ENCODINGS["fully_connected"]
    strategy = small("reinforce", encoding)
    rewards = []
    for _ in range(150):
        question = strategy.ask()
        rewards.append(sum(value == 3 for value in question.integers) / 6)
        strategy.tell(question, (rewards[-1],))
    assert sum(rewards[-30:]) / 30 > 0.6  # 0.2 for uniform draws
