"""What a selection rule may try out: scores without a trace, decisions that survive a stop, tuning."""

import copy
import json
import math

import pytest
import torch

from darts_pl.bilevel import Draws
from darts_pl.errors import UserError
from darts_pl.selection import Dealt, Score, Trials
from darts_pl.spaces import CnnSupernet, Dropouts, Parts, RnnSupernet, Softmax, build_space, fix_weights
from tests.gumbel import Gumbel

CANDIDATES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")


def supernet_of(relaxation=None):
    space = build_space("cnn", CANDIDATES, 2)
    parts = Parts(relaxation=relaxation or Softmax())
    return CnnSupernet(space, init_channels=2, layers=3, classes=3, parts=parts, alpha_scale=1.0).double()


def batches():
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(size, 3, 8, 8, generator=generator, dtype=torch.float64),
            torch.randint(3, (size,), generator=generator),
        )
        for size in (6, 6, 3)
    ]


def count(outcome, batch):
    return len(batch[1]), (outcome.outputs.argmax(1) == batch[1]).sum()


def plain_score(net, mixings):
    """Loss and accuracy on a copy, sample by sample from the logits, with the statistics of each batch."""
    net = copy.deepcopy(net).train()
    losses, right = [], []
    with torch.no_grad():
        for (images, labels), mixing in zip(batches(), mixings, strict=True):
            logits = net(images, mixing)
            losses.append(logits.exp().sum(1).log() - logits[torch.arange(len(labels)), labels])
            right.append(logits.argmax(1) == labels)
    return torch.cat(losses).mean().item(), torch.cat(right).double().mean().item()


def everything(net, optimizer):
    return copy.deepcopy(
        {
            "state": net.state_dict(),
            "gradients": [parameter.grad for parameter in net.parameters()],
            "training": [module.training for module in net.modules()],
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
    )


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("training", [True, False])
def test_a_score_is_that_of_a_plain_evaluation_with_batch_statistics(training):
    net = supernet_of().train(training)
    for buffer in net.buffers():
        if buffer.is_floating_point():
            buffer.add_(0.5)  # running statistics that would give another score
    score = Trials(net, batches, count).score()
    assert (score.loss, score.accuracy) == pytest.approx(plain_score(net, [net.mixing()] * 3), rel=1e-12)


def test_a_score_is_that_of_the_mixing_that_is_given():
    net = supernet_of()
    mixing = {name: fix_weights(values, {(0, 1): 0.0, (3, 2): 1.0}) for name, values in net.mixing().items()}
    trials = Trials(net, batches, count)
    found = trials.score(mixing)
    assert (found.loss, found.accuracy) == pytest.approx(plain_score(net, [mixing] * 3), rel=1e-12)
    assert found.loss != trials.score().loss


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("one_path", [True, False])
def test_a_score_leaves_no_trace_and_two_scores_are_equal(training, one_path):
    net = supernet_of(Gumbel(one_path)).train(training)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net.loss(batches()[0], net.mixing()).loss.backward()
    optimizer.step()
    before = everything(net, optimizer)
    trials = Trials(net, batches, count, seed=4)
    first = trials.score()
    assert same(everything(net, optimizer), before)
    torch.manual_seed(77)
    assert trials.score() == first == Trials(net, batches, count, seed=4).score()


def test_a_score_that_fails_leaves_no_trace_either():
    net = supernet_of().eval()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    before = everything(net, optimizer)

    def broken():
        yield batches()[0]
        yield batches()[1][0], torch.full((6,), 77)

    with pytest.raises(IndexError, match="Target 77"):
        Trials(net, broken, count).score()
    assert same(everything(net, optimizer), before)


def test_a_supernet_that_trains_one_path_is_scored_with_a_path_drawn_per_batch():
    net = supernet_of(Gumbel(one_path=True))
    mixings = [net.mixing(Draws(4, index)("eval", "cpu"), sample=True) for index in range(3)]
    found = Trials(net, batches, count, seed=4).score()
    assert (found.loss, found.accuracy) == pytest.approx(plain_score(net, mixings), rel=1e-12)
    assert Trials(net, batches, count, seed=5).score() != found


def test_a_relaxation_that_draws_but_trains_all_paths_is_scored_with_what_is_expected():
    net = supernet_of(Gumbel())
    found = Trials(net, batches, count).score()
    assert (found.loss, found.accuracy) == pytest.approx(plain_score(net, [net.mixing()] * 3), rel=1e-12)
    assert net.arch.relaxation.drawn == []


def test_a_score_counts_the_samples_of_all_ranks():
    net, other = supernet_of(), torch.tensor([30.0, 2.0, 10.0], dtype=torch.float64)

    def mean(tensors):  # the other rank: 10 samples, a loss of 3 each, 2 right
        return [(values + other) / 2 for values in tensors]

    alone = Trials(net, batches, count).score()
    found = Trials(net, batches, count, mean=mean).score()
    expected = (alone.loss * 15 + 30) / 25, (alone.accuracy * 15 + 2) / 25
    assert (found.loss, found.accuracy) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("count_of_all", [1, 4, 7])
def test_the_first_batches_of_all_ranks_are_those_of_one(ranks, fraction, count_of_all):
    wanted = max(1, math.ceil(fraction * count_of_all))
    dealt = [Dealt(rank, ranks, count_of_all) for rank in range(ranks)]
    numbers = [one.number(index) for one in dealt for index in range(one.first(fraction))]
    assert sorted(numbers) == list(range(wanted))


@pytest.mark.parametrize("fraction", [0.2, 0.5, 1.0])
def test_two_ranks_with_whole_batches_score_as_one_that_has_them_all(fraction):
    net = supernet_of(Gumbel(one_path=True))
    alone = Trials(net, batches, count, seed=4).score(fraction=fraction)
    empty = torch.empty(0, 3, 8, 8), torch.empty(0, dtype=torch.int64)
    parts = [batches()[0], batches()[2]], [batches()[1], empty]
    totals = []

    def keep(tensors):
        totals.append(tensors[0])
        return [tensors[0] + torch.tensor([0.0, 0.0, 1.0])]  # a rank without a batch is no error

    def scored(rank, mean):
        return Trials(net, lambda: parts[rank], count, seed=4, dealt=Dealt(rank, 2, 3), mean=mean).score(None, fraction)

    scored(0, keep)
    found = scored(1, lambda tensors: [(tensors[0] + totals[0]) / 2])
    assert (found.loss, found.accuracy) == pytest.approx((alone.loss, alone.accuracy), rel=1e-12)


def test_a_score_of_text_carries_the_hidden_state_and_has_no_accuracy():
    space = build_space("rnn", ("none", "tanh", "relu"), 2)
    net = RnnSupernet(space, vocabulary=7, units=4, dropouts=Dropouts(dropoute=0.3), alpha_scale=1.0).double()
    tokens = torch.randint(7, (10, 3))
    pieces = [(tokens[:4], tokens[1:5]), (tokens[4:9], tokens[5:10])]
    found = Trials(net, lambda: pieces, lambda outcome, batch: (batch[1].numel(), None), seed=2).score()
    losses, hidden = [], ()
    with torch.no_grad():
        for index, piece in enumerate(pieces):
            torch.manual_seed(Draws(2, index).seed("eval"))  # for the dropout of words
            outcome = net.loss((*piece, *hidden), net.mixing())
            losses.append(outcome.loss * piece[1].numel())
            hidden = (outcome.carry,)
    assert found == Score(pytest.approx(sum(losses).item() / 27, rel=1e-12), None)


def test_a_split_without_a_batch_is_refused():
    with pytest.raises(UserError, match="holds no batch to score the supernet on"):
        Trials(supernet_of(), list, count).score()


def test_a_decision_is_recorded_before_the_rule_goes_on_and_returned_when_it_is_run_again(tmp_path):
    path, net = tmp_path / "journal.json", supernet_of()

    def stopped():
        raise KeyboardInterrupt

    trials = Trials(net, batches, count, journal=path)
    first = trials.decide("edge 0", lambda: 3)
    assert json.loads(path.read_text()) == {"edge 0": 3}
    with pytest.raises(KeyboardInterrupt):
        trials.decide("edge 1", stopped)
    assert json.loads(path.read_text()) == {"edge 0": 3}

    again = Trials(net, batches, count, journal=path)
    assert again.decide("edge 0", stopped) == first == 3  # not computed a second time
    assert again.decide("edge 1", lambda: [1, "skip_connect"]) == [1, "skip_connect"]
    assert again.journal == json.loads(path.read_text()) == {"edge 0": 3, "edge 1": [1, "skip_connect"]}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("on_disk", [True, False])
def test_an_answer_has_the_types_of_a_recorded_one_from_its_first_use_on(tmp_path, on_disk):
    journal = tmp_path / "journal.json" if on_disk else None
    answer = {0: (1, 2), "best": (0.1, None)}
    found = Trials(supernet_of(), batches, count, journal=journal).decide("all", lambda: answer)
    assert found == {"0": [1, 2], "best": [0.1, None]}
    if on_disk:
        again = Trials(supernet_of(), batches, count, journal=journal)
        assert again.decide("all", lambda: pytest.fail("asked again")) == found


def test_a_question_is_asked_once_in_a_run():
    trials = Trials(supernet_of(), batches, count)
    trials.decide("edge 0", lambda: 3)
    with pytest.raises(AssertionError, match="decision 'edge 0' is asked twice"):
        trials.decide("edge 0", lambda: 4)


@pytest.mark.parametrize("text", ["{", "[1, 2]", "\x80"])
def test_a_damaged_journal_is_refused_with_its_path(tmp_path, text):
    path = tmp_path / "journal.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=f"{path}: not") as caught:
        Trials(supernet_of(), batches, count, journal=path)
    assert len(str(caught.value).splitlines()) == 1


def test_tuning_is_handed_on_and_refused_where_there_are_no_data():
    tuned = []
    trials = Trials(supernet_of(), batches, count, tune=tuned.append)
    for epochs in (2, 0, 1):
        trials.tune(epochs)
    assert tuned == [2, 1]
    nothing = Trials(supernet_of(), batches, count)
    nothing.tune(0)
    with pytest.raises(UserError, match="trains the supernet, for which there are no data here"):
        nothing.tune(1)


def greedy(trials, net):
    """A rule that decides edge by edge by scores."""
    chosen = {}
    for edge in range(5):

        def best(edge=edge, chosen=chosen):
            losses = []
            for column in (1, 2, 3):
                values = {**chosen, **{(edge, other): float(other == column) for other in range(4)}}
                mixing = {name: fix_weights(one, values) for name, one in net.mixing().items()}
                losses.append(trials.score(mixing).loss)
            return 1 + losses.index(min(losses))

        column = trials.decide(f"edge {edge}", best)
        chosen = {**chosen, **{(edge, other): float(other == column) for other in range(4)}}
    return [column for (_, column), value in chosen.items() if value]


def test_a_rule_that_is_stopped_anywhere_ends_as_one_that_was_never_stopped(tmp_path):
    net = supernet_of()
    whole = greedy(Trials(net, batches, count), net)
    assert len(set(whole)) > 1
    for after in range(5):
        path = tmp_path / f"{after}.json"
        path.write_text(json.dumps({f"edge {edge}": whole[edge] for edge in range(after)}))
        scored = []

        def noted(scored=scored):
            scored.append(1)
            return batches()

        assert greedy(Trials(net, noted, count, journal=path), net) == whole
        assert len(scored) == 3 * (5 - after)
