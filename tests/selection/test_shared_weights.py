"""Selection by scores with shared weights: which genotypes, their scores, the ranking, stops in the middle."""

import itertools
import math

import pytest
import torch
from scipy import stats

from darts_pl.genotype import CellGenotype, Genotype, Pair
from darts_pl.selection import SharedWeights, SharedWeightsSettings, Trials, one_path, strengths
from darts_pl.selection.units import log_likelihood, most_likely, units_of
from darts_pl.spaces import CnnSupernet, build_space

CANDIDATES = ("none", "skip_connect", "sep_conv_3x3")


def supernet_of():
    torch.manual_seed(3)
    space = build_space("cnn", CANDIDATES, 2)
    return CnnSupernet(space, init_channels=2, layers=3, classes=3, alpha_scale=1.0).double()


def batches():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(8, 3, 8, 8, generator=generator, dtype=torch.float64), torch.arange(8).remainder(3))]


def count(outcome, batch):
    return len(batch[1]), (outcome.outputs.argmax(1) == batch[1]).sum()


def settings_of(**changes):
    return SharedWeightsSettings(**{"samples": 12, "likely": 0.5, "criterion": "loss", "fraction": 1.0, **changes})


def every_cell():
    """All cells of two nodes, written out."""
    operations = CANDIDATES[1:]
    first = [(Pair(a, 0), Pair(b, 1)) for a, b in itertools.product(operations, repeat=2)]
    second = [
        (Pair(a, i), Pair(b, j))
        for i, j in itertools.combinations(range(3), 2)
        for a, b in itertools.product(operations, repeat=2)
    ]
    return [CellGenotype((one, two), concat=(2, 3)) for one, two in itertools.product(first, second)]


def likelihood(net, genotype):
    """Product of softmax weights, by hand."""
    total = 1.0
    for name, cell in genotype.cells.items():
        weights = torch.softmax(net.alphas[name].detach(), 1)
        for target, pairs in zip((2, 3), cell.nodes, strict=True):
            for operation, source in pairs:
                edge = {2: 0, 3: 2}[target] + source
                total *= weights[edge, CANDIDATES.index(operation)].item()
    return total


def test_the_most_likely_genotypes_come_first_and_the_others_are_drawn():
    net = supernet_of()
    cells = every_cell()
    everything = [Genotype("cnn", {"normal": a, "reduce": b}) for a, b in itertools.product(cells, repeat=2)]
    expected = sorted((likelihood(net, one) for one in everything), reverse=True)[:6]
    found = SharedWeights(settings_of()).candidates(net, 7)
    assert [likelihood(net, one) for one in found[:6]] == pytest.approx(expected, rel=1e-9)
    assert len(set(found)) == 12
    assert set(found) <= set(everything)
    assert found == SharedWeights(settings_of()).candidates(net, 7)
    assert found[6:] != SharedWeights(settings_of()).candidates(net, 8)[6:]


def test_the_likelihood_of_a_genotype_is_the_product_of_its_mixing_weights():
    net = supernet_of()
    for genotype in SharedWeights(settings_of()).candidates(net, 7):
        assert log_likelihood(net.space, genotype, strengths(net)) == pytest.approx(math.log(likelihood(net, genotype)))


def test_a_space_with_fewer_genotypes_than_samples_gives_all_of_them():
    space = build_space("cnn", ("skip_connect", "sep_conv_3x3"), 1)
    net = CnnSupernet(space, init_channels=2, layers=3, classes=3).double()
    assert len(most_likely(units_of(net, strengths(net)), 100)) == 16
    assert len(SharedWeights(settings_of(samples=50)).candidates(net, 0)) == 16


def test_the_best_score_with_one_hot_mixing_wins_and_the_whole_ranking_is_recorded():
    net = supernet_of()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    trials = Trials(net, batches, count, seed=7)
    rule = SharedWeights(settings_of())
    found = rule(net, trials)
    losses, logs = [], []
    for genotype in rule.candidates(net, 7):
        mixing = {
            name: one._replace(alive=None) for name, one in one_path(net.space, genotype, net.classifier.weight).items()
        }
        with torch.no_grad():
            logits = net.train()(batches()[0][0], mixing)
        losses.append(torch.nn.functional.cross_entropy(logits, batches()[0][1]).item())
        logs.append(math.log(likelihood(net, genotype)))
    ranking = trials.journal["ranking"]
    assert found == rule.candidates(net, 7)[losses.index(min(losses))]
    assert [row["loss"] for row in ranking["genotypes"]] == pytest.approx(sorted(losses), rel=1e-9)
    assert ranking["spearman"] == pytest.approx(stats.spearmanr([-loss for loss in losses], logs).statistic)
    net.load_state_dict(before)
    rule(net, Trials(net, batches, count, seed=7))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_ranking_that_is_stopped_goes_on_with_the_next_genotype(tmp_path):
    net, scored = supernet_of(), []

    def noted(most):
        def give():
            scored.append(1)
            if len(scored) > most:
                raise KeyboardInterrupt
            return batches()

        return give

    rule = SharedWeights(settings_of())
    whole = Trials(net, batches, count)
    expected = rule(net, whole)
    with pytest.raises(KeyboardInterrupt):
        rule(net, Trials(net, noted(5), count, journal=tmp_path / "parts.json"))
    scored.clear()
    resumed = Trials(net, noted(100), count, journal=tmp_path / "parts.json")
    assert rule(net, resumed) == expected
    assert len(scored) == 7
    assert resumed.journal == whole.journal
