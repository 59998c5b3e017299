"""Dirichlet mixing weights: moments, gradient, removed candidates, and the divergence from the flat distribution."""

import torch

from darts_pl.bilevel import AlphaRecipe
from darts_pl.methods import DirichletDivergence, DirichletDivergenceSettings
from darts_pl.spaces import CnnSupernet, Dirichlet, Parts, build_space

ALPHAS = torch.tensor([0.5, -0.7, 0.0, 1.5], dtype=torch.float64)
#: elu(alpha) + 1 by hand.
CONCENTRATION = torch.tensor([1.5, 0.4965853037914095, 1.0, 2.5], dtype=torch.float64)


def test_samples_have_the_mean_and_the_variance_of_the_distribution():
    many = ALPHAS.expand(40_000, 4)
    weights, alive = Dirichlet().sampled(many, None, torch.Generator().manual_seed(0))
    total = CONCENTRATION.sum()
    mean = CONCENTRATION / total
    assert alive is None
    torch.testing.assert_close(weights.mean(0), mean, rtol=0, atol=0.005)
    torch.testing.assert_close(weights.var(0), mean * (1 - mean) / (total + 1), rtol=0.05, atol=0)
    torch.testing.assert_close(Dirichlet().expected(ALPHAS.unsqueeze(0), None)[0], mean)


def test_without_a_removed_candidate_the_others_are_dirichlet_distributed_with_their_own_concentrations():
    live = torch.tensor([True, False, True, True])
    many = ALPHAS.expand(40_000, 4)
    weights, _ = Dirichlet().sampled(many, live.expand(40_000, 4), torch.Generator().manual_seed(0))
    kept = CONCENTRATION[live]
    mean = kept / kept.sum()
    assert not weights[:, 1].any()
    torch.testing.assert_close(weights[:, live].mean(0), mean, rtol=0, atol=0.005)
    torch.testing.assert_close(weights[:, live].var(0), mean * (1 - mean) / (kept.sum() + 1), rtol=0.05, atol=0)
    torch.testing.assert_close(Dirichlet().expected(ALPHAS.unsqueeze(0), live.unsqueeze(0))[0, live], mean)


def test_a_sample_and_its_gradient_are_torchs_own_for_the_same_seed():
    alphas = ALPHAS.expand(5, 4).clone().requires_grad_()
    cotangent = torch.randn(5, 4, dtype=torch.float64)
    ours, _ = Dirichlet().sampled(alphas, None, torch.Generator().manual_seed(3))
    torch.manual_seed(3)
    theirs = torch.distributions.Dirichlet(torch.nn.functional.elu(alphas) + 1).rsample()
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)
    found, expected = (torch.autograd.grad(one, alphas, cotangent)[0] for one in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def supernet(relaxation):
    space = build_space("cnn", ("max_pool_3x3", "avg_pool_3x3", "skip_connect"), 1)
    parts = Parts(relaxation=relaxation)
    return CnnSupernet(space, init_channels=2, layers=3, classes=2, parts=parts, alpha_scale=1.0).double()


def test_the_divergence_is_its_closed_form_and_0_for_flat_distributions():
    net = supernet(Dirichlet())
    term = DirichletDivergence(DirichletDivergenceSettings(scale=0.01))(net)
    expected = 0.0
    for alphas in net.alphas.values():
        for row in (torch.nn.functional.elu(alphas) + 1).detach():
            total = row.sum()
            expected += total.lgamma() - row.lgamma().sum() - torch.tensor(3.0).double().lgamma()
            expected += ((row - 1) * (row.digamma() - total.digamma())).sum()
    torch.testing.assert_close(term.detach(), 0.01 * expected)
    with torch.no_grad():
        for alphas in net.alphas.values():
            alphas.zero_()
    assert abs(DirichletDivergence(DirichletDivergenceSettings(scale=1.0))(net).item()) < 1e-12


def test_the_divergence_alone_draws_the_alphas_towards_0():
    net = supernet(Dirichlet())
    adam = AlphaRecipe(0.1, (0.5, 0.999), 0.0).optimizer(net)
    start = sum(alphas.norm().item() for alphas in net.alphas.values())
    for _ in range(300):
        adam.zero_grad()
        DirichletDivergence(DirichletDivergenceSettings(scale=1.0))(net).backward()
        adam.step()
    assert sum(alphas.norm().item() for alphas in net.alphas.values()) < 1e-2 * start


def test_the_divergence_needs_a_dirichlet_distribution():
    term = DirichletDivergence(DirichletDivergenceSettings(scale=1.0))
    assert list(term.requires(Parts(relaxation=Dirichlet()))) == []
    (reason,) = term.requires(Parts())
    assert "add relaxation=dirichlet" in reason
