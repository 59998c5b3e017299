"""The recurrent supernet against the paper's formulas, written out edge by edge and step by step."""

from functools import partial

import pytest
import torch
from torch.nn.functional import batch_norm

from darts_pl.errors import UserError
from darts_pl.ops import ACTIVATIONS, activation, activations, check_activations
from darts_pl.spaces import Dropouts, RnnSupernet, SearchSpace, build_space, slowness
from darts_pl.spaces.rnn import sequence
from darts_pl.spaces.space import CellSpace

CANDIDATES = ("none", "tanh", "relu", "sigmoid", "identity")
FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda x: x}
PAPER = Dropouts(dropout=0.75, dropouth=0.25, dropoutx=0.75, dropouti=0.2, dropoute=0.1)


def supernet_of(nodes=3, units=6, vocabulary=11, dropouts=None, candidates=CANDIDATES):
    net = RnnSupernet(
        build_space("rnn", candidates, nodes), vocabulary=vocabulary, units=units, dropouts=dropouts
    ).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.uniform_(-1, 1)
    return net


def batch_of(net, steps=5, streams=4):
    vocabulary, units = net.network.words.weight.shape
    tokens = torch.randint(vocabulary, (steps + 1, streams))
    return tokens[:-1], tokens[1:], torch.randn(streams, units, dtype=torch.float64)


def one_by_one(net, tokens, hidden, masks, weights=None):
    """Outputs [T, B, H], by the paper's formulas, with given masks for words, embeddings, x and h."""
    words, cell, space = net.network.words, net.network.cell, net.space.cells["recurrent"]
    of_words, of_embeddings, of_x, of_h = masks
    weights = net.mixing()["recurrent"].weights if weights is None else weights
    norm = partial(batch_norm, running_mean=None, running_var=None, training=True)
    outputs = []
    for step in tokens:
        x = (words.weight * of_words)[step] * of_embeddings[0]
        gate, inner = (torch.cat([x * of_x, hidden * of_h], dim=1) @ cell.first).chunk(2, dim=1)
        states = [norm(hidden + gate.sigmoid() * (inner.tanh() - hidden))]
        for node, matrix in enumerate(cell.nodes, start=1):
            total = torch.zeros_like(hidden)
            for edge in space.entering(node):
                state = states[space.edges[edge][0]]
                gate, inner = ((state * of_h) @ matrix).chunk(2, dim=1)
                for column, name in enumerate(space.candidates[edge]):
                    if name != "none":
                        part = state + gate.sigmoid() * (FUNCTIONS[name](inner) - state)
                        total = total + weights[edge, column] * part
            states.append(norm(total))
        hidden = torch.stack(states[1:]).mean(0)
        outputs.append(hidden)
    return torch.stack(outputs)


@pytest.fixture
def drawn(monkeypatch):
    """The dropout masks in the order in which they are drawn."""
    masks = []
    draw = sequence.dropout_mask

    def record(*arguments):
        masks.append(draw(*arguments))
        return masks[-1]

    monkeypatch.setattr(sequence, "dropout_mask", record)
    return masks


def test_outputs_are_those_of_the_formulas_with_one_mask_a_sequence(drawn):
    net = supernet_of(dropouts=PAPER)
    tokens, _, hidden = batch_of(net)
    found = net(tokens, hidden, net.mixing())
    of_words, of_embeddings, of_x, of_h, of_outputs = drawn  # five masks for five steps
    assert [tuple(mask.shape) for mask in drawn] == [(11, 1), (1, 4, 6), (4, 6), (4, 6), (1, 4, 6)]
    expected = one_by_one(net, tokens, hidden, (of_words, of_embeddings, of_x, of_h))
    torch.testing.assert_close(found.outputs, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.dropped, expected * of_outputs, rtol=1e-12, atol=1e-12)
    words = net.network.words
    torch.testing.assert_close(found.logits, (expected * of_outputs) @ words.weight.T + words.bias)


def test_masks_leave_out_the_wanted_share_and_keep_the_mean():
    like = torch.zeros((), dtype=torch.float64)
    mask = sequence.dropout_mask(like, (400, 500), 0.25, training=True)
    assert set(mask.unique().tolist()) == {0.0, 1 / 0.75}
    assert abs(mask.mean().item() - 1) < 0.01
    assert sequence.dropout_mask(like, (4, 5), 0.25, training=False) is None
    assert sequence.dropout_mask(like, (4, 5), 0.0, training=True) is None


def test_a_dropped_word_is_dropped_wherever_it_stands():
    net = supernet_of(vocabulary=40, dropouts=Dropouts(dropoute=0.5))
    tokens = torch.randint(40, (30, 8))
    vectors = net.network.words.embed(tokens, 0.5)
    ratio = vectors / net.network.words.weight[tokens]
    for word in tokens.unique():
        assert ratio[tokens == word].unique().tolist() in ([0.0], pytest.approx([2.0]))


def test_without_training_nothing_is_dropped_and_running_statistics_normalise():
    net = supernet_of(dropouts=PAPER).eval()
    tokens, _, hidden = batch_of(net)
    before = {name: values.clone() for name, values in net.named_buffers()}
    assert torch.equal(net(tokens, hidden, net.mixing()).outputs, net(tokens, hidden, net.mixing()).outputs)
    assert all(torch.equal(before[name], values) for name, values in net.named_buffers())


def test_it_runs_under_autocast():
    net = supernet_of(dropouts=PAPER).float()
    tokens, targets, hidden = batch_of(net)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outcome = net.loss((tokens, targets, hidden.float()), net.mixing())
    outcome.loss.backward()
    assert outcome.loss.isfinite()
    assert outcome.carry.dtype == torch.float32


def test_edges_may_have_different_candidates():
    cell = CellSpace(1, 2, 1, (("none", "tanh"), ("relu", "none", "tanh"), ("identity",)))
    net = RnnSupernet(SearchSpace("rnn", {"recurrent": cell}), vocabulary=9, units=5).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.uniform_(-1, 1)
    tokens, _, hidden = batch_of(net)
    one = torch.ones(1, dtype=torch.float64)
    expected = one_by_one(net, tokens, hidden, (one, one[None], one, one))
    torch.testing.assert_close(net(tokens, hidden, net.mixing()).outputs, expected, rtol=1e-12, atol=1e-12)


def test_a_fixed_candidate_has_exactly_its_fixed_weight_and_one_of_zero_costs_nothing(monkeypatch):
    net = supernet_of()
    tokens, _, hidden = batch_of(net)
    calls = []
    for name, function in FUNCTIONS.items():
        monkeypatch.setitem(ACTIVATIONS._items, name, lambda x, n=name, f=function: (calls.append(n), f(x))[1])
    edges, _ = net.alphas["recurrent"].shape
    net.fix("recurrent", {**{(edge, 1): 0.0 for edge in range(edges)}, (0, 2): 0.5})
    one = torch.ones(1, dtype=torch.float64)
    expected = one_by_one(net, tokens, hidden, (one, one[None], one, one))
    calls.clear()
    torch.testing.assert_close(net(tokens, hidden, net.mixing()).outputs, expected, rtol=1e-12, atol=1e-12)
    assert "tanh" not in calls
    assert calls.count("relu") == 5 * 3  # once a step and source node, for all edges that leave it
    net.fix("recurrent", None)
    calls.clear()
    net(tokens, hidden, net.mixing())
    assert calls.count("tanh") == 5 * 3


@pytest.mark.parametrize("seed", range(3))
def test_an_activation_that_is_dead_on_an_edge_counts_nothing_there_though_it_is_alive_on_another(seed):
    net = supernet_of()
    tokens, _, hidden = batch_of(net)
    torch.manual_seed(seed)
    table = torch.rand(net.alphas["recurrent"].shape) < 0.5
    mixing = net.mixing()["recurrent"]._replace(alive=tuple(map(tuple, table.tolist())))
    one = torch.ones(1, dtype=torch.float64)
    parameters = list(net.architecture().values()) + [w for n, w in net.weights().items() if "cell" in n]
    plain = one_by_one(net, tokens, hidden, (one, one[None], one, one), mixing.weights.where(table, 0.0))
    results = []
    for outputs in (net(tokens, hidden, {"recurrent": mixing}).outputs, plain):
        cotangent = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).view_as(outputs)
        gradients = torch.autograd.grad(
            outputs, parameters, cotangent, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        results.append([outputs, *gradients])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_edge_weights_multiply_what_an_edge_gives():
    net = supernet_of()
    tokens, _, hidden = batch_of(net)
    mixing, edges = net.mixing()["recurrent"], torch.rand(6, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    expected = one_by_one(net, tokens, hidden, (one, one[None], one, one), mixing.weights * edges.unsqueeze(1))
    found = net(tokens, hidden, {"recurrent": mixing._replace(edges=edges)}).outputs
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_hidden_state_that_is_carried_continues_the_sequence_and_holds_no_graph():
    net = supernet_of().eval()
    tokens, targets, hidden = batch_of(net, steps=6)
    whole = net.loss((tokens, targets, hidden), net.mixing())
    first = net.loss((tokens[:2], targets[:2], hidden), net.mixing())
    second = net.loss(net.with_carry((tokens[2:], targets[2:]), first.carry), net.mixing())
    assert not first.carry.requires_grad
    torch.testing.assert_close(second.carry, whole.carry)
    torch.testing.assert_close((first.loss * 2 + second.loss * 4) / 6, whole.loss)


def test_encoder_and_decoder_are_one_matrix_and_start_as_the_paper_says():
    net = RnnSupernet(build_space("rnn", CANDIDATES, 8), vocabulary=1000, units=30)
    assert net.alphas["recurrent"].shape == (36, 5)
    weights = net.weights()
    assert sum(weight.numel() for weight in weights.values()) == 1000 * 30 + 1000 + 60 * 60 + 8 * 30 * 60
    for name, weight in weights.items():
        if name.endswith("bias"):
            assert not weight.any()
        else:
            assert 0.039 < weight.abs().max() <= 0.04


def test_slowness_is_the_mean_squared_difference_and_zero_for_one_step():
    outputs = torch.tensor([[[1.0, 2.0]], [[3.0, 2.0]], [[3.0, 5.0]]])
    assert slowness(outputs) == pytest.approx((4 + 0 + 0 + 9) / 4)
    assert slowness(outputs[:1]) == 0


@pytest.mark.parametrize(
    ("candidates", "words"),
    [(["none", "swish"], "swish"), (["none"], "no activation"), (["tanh", "tanh"], "twice")],
)
def test_senseless_candidates_are_refused(candidates, words):
    with pytest.raises(UserError, match=words):
        check_activations(candidates)


def test_an_activation_of_the_user_takes_part(monkeypatch):
    monkeypatch.setattr(ACTIVATIONS, "_items", dict(ACTIVATIONS._items))
    activation("softsign")(torch.nn.functional.softsign)
    assert "softsign" in activations()
    net = supernet_of(candidates=("none", "softsign", "tanh"))
    tokens, _, hidden = batch_of(net)
    monkeypatch.setitem(FUNCTIONS, "softsign", torch.nn.functional.softsign)
    one = torch.ones(1, dtype=torch.float64)
    expected = one_by_one(net, tokens, hidden, (one, one[None], one, one))
    torch.testing.assert_close(net(tokens, hidden, net.mixing()).outputs, expected, rtol=1e-12, atol=1e-12)
    with pytest.raises(UserError, match="already taken"):
        activation("softsign")(torch.tanh)


@pytest.mark.parametrize("sizes", [{"units": 0, "vocabulary": 5}, {"units": 5, "vocabulary": 0}])
def test_a_size_below_one_is_refused(sizes):
    with pytest.raises(UserError, match="at least 1"):
        RnnSupernet(build_space("rnn", CANDIDATES, 2), **sizes)


def test_a_dropout_outside_its_range_is_refused():
    with pytest.raises(UserError, match=r"dropouth=1\.0"):
        Dropouts(dropouth=1.0)
