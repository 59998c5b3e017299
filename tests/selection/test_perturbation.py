"""Selection by perturbation: against a plain recomputation, its order, its tuning, and stops in the middle."""

import copy
import json

import pytest
import torch

from darts_pl.bilevel import AlphaRecipe, SearchStep, WeightRecipe, first_order
from darts_pl.errors import UserError
from darts_pl.selection import Perturbation, PerturbationSettings, Start, Trials, Tuner, random_order
from darts_pl.spaces import CnnSupernet, Dropouts, RnnSupernet, build_space
from darts_pl.spaces.nasbench201.supernet import NasBench201Supernet

CANDIDATES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")


def supernet_of(candidates=CANDIDATES, nodes=2):
    torch.manual_seed(3)
    space = build_space("cnn", candidates, nodes)
    return CnnSupernet(space, init_channels=2, layers=3, classes=3, alpha_scale=1.0).double()


def batches():
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(8, 3, 8, 8, generator=generator, dtype=torch.float64), torch.arange(8).remainder(3))
        for _ in range(2)
    ]


def count(outcome, batch):
    return len(batch[1]), (outcome.outputs.argmax(1) == batch[1]).sum()


def settings_of(**changes):
    values = {"criterion": "loss", "topology": "each", "fraction": 1.0, "tune_epochs": 0, "tune_lr": 0.1}
    return PerturbationSettings(**{**values, "fix_alpha": False, **changes})


def plain_loss(net, weights):
    """Mean loss with mixing weights [edges, candidates] written out per cell type, every candidate computed."""
    mixing = {name: one._replace(weights=weights[name], alive=None) for name, one in net.mixing().items()}
    with torch.no_grad():
        losses = [torch.nn.functional.cross_entropy(net(images, mixing), labels) for images, labels in batches()]
    return torch.stack(losses).mean().item()


def plain_projection(net, edges, nodes, greedy):
    """Every decision by exhaustive recomputation on tensors: (cell type, place, what is kept)."""
    net = copy.deepcopy(net).train()  # its running statistics move, which no pass in training reads
    weights = {name: torch.softmax(alphas.detach(), 1) for name, alphas in net.alphas.items()}
    cells, decisions = net.space.cells, []

    def loss_without(name, rows):
        tried = {other: table.clone() for other, table in weights.items()}
        for row, column in rows:
            tried[name][row, column] = 0.0
        return plain_loss(net, tried)

    for event in zip(*([(name, edge) for edge in chosen] for name, chosen in edges.items()), strict=True):
        for name, edge in event:
            losses = [loss_without(name, [(edge, column)]) for column in (1, 2, 3)]
            best = 1 + max(range(3), key=losses.__getitem__)
            weights[name][edge] = torch.eye(4, dtype=torch.float64)[best]
            decisions.append((name, edge, CANDIDATES[best]))
    for event in zip(*([(name, node) for node in chosen] for name, chosen in nodes.items()), strict=True):
        for name, node in event:
            present = list(cells[name].entering(node))
            while len(present) > 2:
                losses = {edge: loss_without(name, [(edge, slice(None))]) for edge in present}
                ranked = sorted(present, key=lambda edge: -losses[edge])
                present = sorted(ranked[:-1] if greedy else ranked[:2])
                for edge in set(ranked) - set(present):
                    weights[name][edge] = 0.0
            decisions.append((name, node, present))
    return decisions


@pytest.mark.parametrize("topology", ["each", "greedy"])
def test_the_whole_sequence_of_decisions_is_that_of_an_exhaustive_recomputation(topology):
    net = supernet_of(nodes=3)
    order = random_order(net, 5)
    expected = plain_projection(net, order.edges, order.nodes, topology == "greedy")
    trials = Trials(net, batches, count, seed=5)
    genotype = Perturbation(settings_of(topology=topology))(net, trials)
    found = [
        (name.split()[0], int(name.split()[2]), answer.get("chosen", answer.get("kept")))
        for name, answer in trials.journal.items()
    ]
    assert found == expected
    chosen = {(name, place): what for name, place, what in expected if isinstance(what, str)}
    kept = {(name, place): what for name, place, what in expected if not isinstance(what, str)}
    for name, cell in net.space.cells.items():
        for node, pairs in zip(cell.targets, genotype.cells[name].nodes, strict=True):
            edges = kept.get((name, node), list(cell.entering(node)))
            assert pairs == tuple((chosen[name, edge], cell.edges[edge][0]) for edge in edges)


def test_the_order_is_random_by_seed_and_covers_every_edge_and_every_node_that_must_choose():
    net = supernet_of(nodes=3)
    orders = [random_order(net, seed) for seed in range(4)]
    assert random_order(net, 2) == orders[2]
    assert len({str(order) for order in orders}) == 4
    for order in orders:
        for name in ("normal", "reduce"):
            assert sorted(order.edges[name]) == list(range(9))
            assert sorted(order.nodes[name]) == [3, 4]


def test_the_first_candidate_wins_a_tie_and_the_later_edge_is_dropped():
    net = supernet_of()
    equal = Trials(net, batches, lambda outcome, batch: (len(batch[1]), torch.tensor(4)))  # accuracy is always 1/2
    genotype = Perturbation(settings_of(criterion="accuracy"))(net, equal)
    first = CANDIDATES[1]
    assert genotype.cells["normal"].nodes == (((first, 0), (first, 1)), ((first, 0), (first, 1)))


def test_decided_candidates_are_not_computed():
    net = supernet_of()
    left = []

    def noted():
        left.append(sum(sum(map(sum, one.alive)) if one.alive else 20 for one in net.mixing().values()))
        return batches()

    Perturbation(settings_of())(net, Trials(net, noted, count))
    alive = {name: sum(map(sum, mixing.alive)) for name, mixing in net.mixing().items()}
    assert left == sorted(left, reverse=True)
    assert left[0] == 40
    assert alive == {"normal": 4, "reduce": 4}  # two edges for each of two nodes, one candidate each


def test_a_node_that_keeps_all_its_edges_has_no_topology_and_may_choose_none():
    space = build_space("nasbench201", ("none", "skip_connect", "nor_conv_1x1"), 2)
    net = NasBench201Supernet(space, channels=4, cells=1, classes=3, alpha_scale=1.0).double()
    trials = Trials(net, batches, lambda outcome, batch: (len(batch[1]), torch.tensor(4)))
    genotype = Perturbation(settings_of(criterion="accuracy"))(net, trials)
    assert sorted(trials.journal) == ["cell edge 0", "cell edge 1", "cell edge 2"]
    assert {pair.operation for pair in genotype.cells["cell"].pairs} == {"none"}  # all tie, and it is the first


def test_a_recurrent_node_keeps_one_edge():
    space = build_space("rnn", ("none", "tanh", "relu"), 3)
    net = RnnSupernet(space, vocabulary=7, units=4, dropouts=Dropouts(), alpha_scale=1.0).double()
    tokens = torch.randint(7, (6, 3))
    trials = Trials(net, lambda: [(tokens[:5], tokens[1:6])], lambda outcome, batch: (batch[1].numel(), None))
    genotype = Perturbation(settings_of())(net, trials)
    assert [len(pairs) for pairs in genotype.cells["recurrent"].nodes] == [1, 1, 1]
    assert sum("node" in name for name in trials.journal) == 2
    with pytest.raises(UserError, match=r"select\.criterion=accuracy: a search on text has no accuracy"):
        Perturbation(settings_of(criterion="accuracy"))(net, Trials(net, trials._batches, trials._count))


def test_a_fraction_reads_the_first_batches():
    net, read = supernet_of(), []

    def noted():
        for index, batch in enumerate(batches()):
            read.append(index)
            yield batch

    whole, half = Trials(net, noted, count), Trials(net, batches, count)
    assert half.score(None, 0.5) == Trials(net, lambda: batches()[:1], count).score()
    whole.score(None, 0.5)
    assert read == [0, 1, 0]  # counted once, then the first alone


def tuner_of(net, file=None, epochs=None, move_alphas=True):
    recipe = WeightRecipe(lr=0.05, lr_min=0, momentum=0.9, weight_decay=3e-4, grad_clip=5.0, epochs=1)
    step = SearchStep(
        net,
        order=first_order,
        weights=recipe.optimizer(net),
        alphas=AlphaRecipe(0.01, (0.5, 0.999), 1e-3).optimizer(net),
        grad_clip=5.0,
    )

    def paired(epoch):
        if epochs is not None:
            epochs.append(epoch)
        train, valid = batches()
        return [{"train": train, "valid": valid}, {"train": valid, "valid": train}]

    return Tuner(step, paired, Start(10, 40), move_alphas=move_alphas, file=file)


def test_the_supernet_is_tuned_between_events_alphas_then_weights_as_a_plain_loop_does():
    net, other, epochs = supernet_of(), supernet_of(), []
    trials = Trials(net, batches, count, tune=tuner_of(net, epochs=epochs))
    Perturbation(settings_of(tune_epochs=2))(net, trials)
    assert epochs == list(range(10, 10 + 2 * 5))  # 5 edge events and 1 node event: 5 times between them

    weights = torch.optim.SGD(other.weights().values(), 0.05, momentum=0.9, weight_decay=3e-4)
    alphas = torch.optim.Adam(other.architecture().values(), 0.01, betas=(0.5, 0.999), weight_decay=1e-3)
    train, valid = batches()
    for first, second in [(train, valid), (valid, train)]:
        for optimizer, batch in ((alphas, second), (weights, first)):
            other.zero_grad()
            other.loss(batch, other.mixing()).loss.backward()
            if optimizer is weights:
                torch.nn.utils.clip_grad_norm_(other.weights().values(), 5.0)
            optimizer.step()
    again = supernet_of()
    tuner_of(again)(1)
    for name, value in other.named_parameters():
        torch.testing.assert_close(dict(again.named_parameters())[name], value, rtol=1e-9, atol=1e-12)


def test_alphas_that_are_not_to_move_stay_while_the_weights_are_tuned():
    net, before = supernet_of(), supernet_of()
    tuner_of(net, move_alphas=False)(1)
    assert torch.equal(net.alphas["normal"], before.alphas["normal"])
    assert not torch.equal(net.classifier.weight, before.classifier.weight)


class KilledError(Exception):
    """Stands for a kill."""


def projected(folder, name, limit=None):
    """The genotype, the journal and the network of a projection, killed behind so many passes; None = of no kill."""
    net, left = supernet_of(), [limit]

    def counted():
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
        return batches()

    tuner = tuner_of(net, folder / f"{name}.pt")
    trials = Trials(net, counted, count, tune=tuner, trained=tuner.trained, journal=folder / f"{name}.json")
    genotype = Perturbation(settings_of(tune_epochs=1))(net, trials)
    return genotype, trials.journal, trials.trained(), net.state_dict()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A projection that was never killed."""
    return projected(tmp_path_factory.mktemp("whole"), "whole")


@pytest.mark.parametrize("after", [4, 23, *(pytest.param(one, marks=pytest.mark.slow) for one in (1, 9, 14, 31))])
def test_a_projection_that_is_killed_anywhere_ends_with_the_same_decisions_and_scores(tmp_path, whole, after):
    with pytest.raises(KilledError):
        projected(tmp_path, "parts", after)
    resumed = projected(tmp_path, "parts")
    assert resumed[:3] == whole[:3]
    assert whole[2] == (5 * 2, 5 * 2 * (8 + 8))  # 5 epochs of 2 steps, each of a train batch and a valid batch
    assert all(torch.equal(value, whole[3][name]) for name, value in resumed[3].items())


def test_a_journal_of_other_settings_is_refused_in_one_line(tmp_path):
    path = tmp_path / "selection.json"
    trials = Trials(supernet_of(), batches, count, journal=path, identity={"rule": {"name": "a"}, "seed": 1})
    trials.decide("edge 0", lambda: 3)
    assert json.loads(path.read_text()) == {"settings": {"rule": {"name": "a"}, "seed": 1}, "edge 0": 3}
    with pytest.raises(UserError, match=r"selection\.json: holds decisions with seed=1, and not seed=2") as caught:
        Trials(supernet_of(), batches, count, journal=path, identity={"rule": {"name": "a"}, "seed": 2})
    assert len(str(caught.value).splitlines()) == 1
