"""From architecture parameters to the mixing of one pass, and what is removed or fixed for good."""

import copy

import pytest
import torch
from torch import nn

from darts_pl.spaces import CellSpace, CnnSupernet, Mixing, Parts, PlainEdges, SearchSpace, Softmax, build_space
from tests.bare import Bare
from tests.gumbel import Gumbel
from tests.paper import CANDIDATES as PAPER


class WithTemperature(Softmax):
    """A relaxation with a Parameter of its own, and a table that is no Parameter."""

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("table", torch.zeros(3))

    def expected(self, alphas, live):
        return super().expected(alphas / self.temperature, live)


class Weighted(PlainEdges):
    """Plain edges, each with a weight of its own."""

    edge_weights = True


def supernet_of(relaxation=None, edges=None, **changes):
    parts = Parts(relaxation=relaxation or Softmax(), edges=edges or PlainEdges())
    sizes = {"init_channels": 2, "layers": 3, "classes": 3, "alpha_scale": 1.0, **changes}
    return CnnSupernet(build_space("cnn", PAPER[:5], 2), **sizes, parts=parts).double()


def test_every_parameter_is_an_architecture_parameter_or_a_weight_and_never_both():
    net = supernet_of(WithTemperature(), Weighted())
    searched, weights = net.architecture(), net.weights()
    assert set(searched) == {
        "relaxation.temperature",
        *(f"{kind}.{cell}" for kind in ("alphas", "betas") for cell in ("normal", "reduce")),
    }
    of_both = [id(parameter) for parameter in (*searched.values(), *weights.values())]
    assert len(set(of_both)) == len(of_both)
    assert set(of_both) == {id(parameter) for parameter in net.parameters()}
    assert all(net.get_parameter(name) is weight for name, weight in weights.items())
    assert searched["relaxation.temperature"] is net.arch.relaxation.temperature


def test_a_weight_is_distinguished_from_an_architecture_parameter_by_identity_and_not_by_its_name():
    net = Bare(build_space("cnn", PAPER, 1))
    net.alphas_of_my_own = nn.Linear(2, 2, bias=False)
    net.stem = nn.ParameterDict({"alphas": torch.ones(1)})
    assert list(net.weights()) == ["alphas_of_my_own.weight", "stem.alphas"]
    net.shared = net.arch.alphas["normal"]  # the same Parameter under a second name
    assert list(net.weights()) == ["alphas_of_my_own.weight", "stem.alphas"]


def test_edge_weights_are_a_softmax_over_the_edges_that_enter_each_node():
    net = supernet_of(edges=Weighted())
    for name, mixing in net.mixing().items():
        betas, cell = net.arch.betas[name].detach(), net.space.cells[name]
        assert betas.shape == (5,)
        for target in cell.targets:
            entering = list(cell.entering(target))
            expected = betas[entering].exp() / betas[entering].exp().sum()
            torch.testing.assert_close(mixing.edges.detach()[entering], expected)
    assert supernet_of().mixing()["normal"].edges is None
    batch = torch.randn(3, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2])
    betas = list(net.arch.betas.values())
    for gradient in torch.autograd.grad(net.loss(batch, net.mixing()).loss, betas):
        assert gradient.all()


def test_expected_mixing_weights_draw_nothing_and_are_those_without_noise():
    net = supernet_of(Gumbel())
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    for name, mixing in net.mixing(generator).items():
        torch.testing.assert_close(mixing.weights, torch.softmax(net.alphas[name], dim=1), rtol=0, atol=0)
    assert net.arch.relaxation.drawn == []
    assert torch.equal(generator.get_state(), before)
    assert torch.equal(torch.get_rng_state(), state)


def test_sampled_mixing_weights_are_those_of_the_noise_that_the_generator_gives():
    net = supernet_of(Gumbel())
    state = torch.get_rng_state()
    sampled = net.mixing(torch.Generator().manual_seed(3), sample=True)
    generator = torch.Generator().manual_seed(3)
    for name in ("normal", "reduce"):  # cell type by cell type from one generator
        uniform = torch.rand(5, 5, generator=generator, dtype=torch.float64)
        expected = torch.softmax(net.alphas[name] - (-uniform.log()).log(), dim=1)
        torch.testing.assert_close(sampled[name].weights, expected)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_relaxation_that_draws_nothing_samples_what_it_expects_and_says_so_when_asked_for_noise():
    net = supernet_of(WithTemperature())
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    for name, mixing in net.mixing(generator, sample=True).items():
        assert torch.equal(mixing.weights, net.mixing()[name].weights)
        assert mixing.alive is None
    assert torch.equal(generator.get_state(), before)
    with pytest.raises(RuntimeError, match="WithTemperature draws no random numbers"):
        net.arch.relaxation.draw(net.alphas["normal"], generator)


def test_a_drawn_path_is_alive_where_it_is_drawn_and_remains():
    net = supernet_of(Gumbel(one_path=True))
    net.keep("normal", [[column != 1 for column in range(5)]] * 5)
    net.fix("reduce", {(0, column): 0.0 for column in range(5)})
    for seed in range(5):
        mixing = net.mixing(torch.Generator().manual_seed(seed), sample=True)
        for edge, row in enumerate(mixing["normal"].alive):
            best = int(mixing["normal"].weights[edge].argmax())
            assert row == tuple(column == best for column in range(5))
            assert best != 1
        assert mixing["reduce"].alive[0] == (False,) * 5
        assert all(sum(row) == 1 for row in mixing["reduce"].alive[1:])
    assert net.mixing()["reduce"].alive[1:] == ((True,) * 5,) * 4


def test_candidates_that_are_not_kept_are_renormalised_away_and_get_no_gradient():
    net = supernet_of()
    kept = [[True, False, True, True, False]] * 4 + [[False, False, False, True, False]]
    net.keep("normal", kept)
    mixing, table = net.mixing()["normal"], torch.tensor(kept)
    exponentials = net.alphas["normal"].detach().exp() * table
    torch.testing.assert_close(mixing.weights.detach(), exponentials / exponentials.sum(1, keepdim=True))
    assert mixing.alive == tuple(map(tuple, kept))
    gradient = torch.autograd.grad(mixing.weights.square().sum(), net.alphas["normal"])[0]
    assert not gradient[~table].any()
    assert gradient[:4][table[:4]].all()
    net.keep("normal", [[True] * 5] * 5)
    assert net.mixing()["normal"].alive is None


def test_a_removed_candidate_may_be_fixed_at_a_weight_and_then_counts_with_it():
    net = supernet_of()
    net.keep("normal", [[column != 2 for column in range(5)]] * 5)
    net.fix("normal", {(3, 2): 0.5})
    mixing = net.mixing()["normal"]
    assert mixing.weights[3, 2] == 0.5
    assert mixing.alive[3] == (True,) * 5
    torch.testing.assert_close(mixing.weights[3].sum(), torch.tensor(1.5, dtype=torch.float64))


def test_what_is_kept_and_fixed_comes_back_with_a_state_dict_that_torch_reads_without_pickled_code(tmp_path):
    net, other = supernet_of(Gumbel(), Weighted()), supernet_of(Gumbel(), Weighted())
    net.keep("normal", [[column != 2 for column in range(5)]] * 5)
    net.fix("reduce", {(3, 2): 0.5, (0, 1): 0.0})
    torch.save(net.state_dict(), tmp_path / "state.pt")
    other.fix("normal", {(0, 0): 1.0})  # gives way to what the state says
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert other.arch.live("normal") == net.arch.live("normal")
    assert other.arch.fixed("reduce") == {(3, 2): 0.5, (0, 1): 0.0}
    assert other.arch.fixed("normal") == {}
    batch = torch.randn(3, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2])
    for name, mixing in net.mixing().items():
        assert torch.equal(other.mixing()[name].weights, mixing.weights)
        assert torch.equal(other.mixing()[name].edges, mixing.edges)
        assert other.mixing()[name].alive == mixing.alive
    assert torch.equal(other.loss(batch, other.mixing()).loss, net.loss(batch, net.mixing()).loss)


@pytest.mark.parametrize("strict", [True, False])
def test_an_older_state_dict_with_the_alphas_at_the_top_loads_with_nothing_removed_or_fixed(strict):
    net, other = supernet_of(), supernet_of()
    old = {name.removeprefix("arch."): values for name, values in net.state_dict().items()}
    del old["_extra_state"]
    assert {"alphas.normal", "alphas.reduce"} <= old.keys()
    given = dict(old)
    other.keep("normal", [[column != 2 for column in range(5)]] * 5)
    other.fix("reduce", {(3, 2): 0.5})
    other.load_state_dict(old, strict=strict)
    assert old == given  # what was passed in is not changed
    for name, values in net.architecture().items():
        assert torch.equal(other.architecture()[name], values)
    assert other.mixing()["normal"].alive is None
    assert other.arch.fixed("reduce") == {}


def test_a_part_of_a_state_dict_changes_nothing_that_it_does_not_hold():
    net, other = supernet_of(), supernet_of()
    other.keep("normal", [[column != 2 for column in range(5)]] * 5)
    other.fix("reduce", {(3, 2): 0.5})
    before = copy.deepcopy(other.state_dict())
    other.load_state_dict({name: weight.detach() for name, weight in net.weights().items()}, strict=False)
    assert torch.equal(other.arch.get_extra_state(), before["arch._extra_state"])
    for name, weight in net.weights().items():
        assert torch.equal(other.get_parameter(name), weight)
    for name in ("normal", "reduce"):
        assert torch.equal(other.alphas[name], before[f"arch.alphas.{name}"])


def test_what_is_fixed_follows_the_network_to_another_dtype():
    net = supernet_of().float()
    net.fix("normal", {(3, 2): 0.1})
    net.keep("reduce", [[column != 2 for column in range(5)]] * 5)
    net.double()
    assert net.mixing()["normal"].weights.dtype == torch.float64
    assert net.mixing()["normal"].weights[3, 2].item() == pytest.approx(0.1, rel=1e-7)
    assert not net.mixing()["reduce"].weights[:, 2].any()


class Watching(Softmax):
    """Records every call of `start_epoch`."""

    def __init__(self):
        super().__init__()
        self.told = []

    def start_epoch(self, epoch, epochs):
        self.told.append((epoch, epochs))


def test_every_part_hears_of_a_new_epoch_once():
    net = supernet_of(Watching())
    net.start_epoch(2, 7)
    assert net.arch.relaxation.told == [(2, 7)]


def test_absent_candidates_of_ragged_edges_have_alphas_but_no_mixing_weight_whatever_is_kept():
    cell = CellSpace(2, 1, 2, (("skip_connect", "sep_conv_3x3", "none"), ("sep_conv_3x3",)))
    net = Bare(SearchSpace("cnn", {"normal": cell, "reduce": cell}), alpha_scale=1.0)
    assert net.alphas["normal"].shape == (2, 3)
    net.keep("normal", [[True, False, True], [True, True, True]])
    mixing = net.mixing()["normal"]
    assert isinstance(mixing, Mixing)
    assert mixing.alive == ((True, False, True), (True, False, False))
    assert mixing.weights[1].tolist() == [1.0, 0.0, 0.0]
