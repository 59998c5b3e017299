"""A supernet whose alphas prefer skip connections, but whose accuracy comes from its convolutions."""

import pytest
import torch

from darts_pl.selection import (
    Perturbation,
    PerturbationSettings,
    SharedWeights,
    SharedWeightsSettings,
    Trials,
    magnitude,
)
from darts_pl.spaces import CnnSupernet, build_space

SKIP, CONV = "skip_connect", "sep_conv_3x3"


def batches():
    """Stripes of three directions under noise."""
    generator = torch.Generator().manual_seed(1)
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    patterns = torch.stack([(one % 4 < 2).double() for one in (rows, columns, rows + columns)])
    labels = torch.arange(192) % 3
    noise = torch.randn(192, 3, 8, 8, generator=generator, dtype=torch.float64)
    return [(patterns[labels].unsqueeze(1) + 1.5 * noise, labels)]


def count(outcome, batch):
    return len(batch[1]), (outcome.outputs.argmax(1) == batch[1]).sum()


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = CnnSupernet(build_space("cnn", (SKIP, CONV), 1), init_channels=4, layers=3, classes=3).double()
    only_convolutions = {(edge, column): float(column) for edge in range(2) for column in (0, 1)}
    for name in net.space.cells:
        net.fix(name, only_convolutions)
    optimizer = torch.optim.Adam(net.weights().values(), 0.02)
    for _ in range(40):  # the weights learn with the convolutions alone
        optimizer.zero_grad()
        net.loss(batches()[0], net.mixing()).loss.backward()
        optimizer.step()
    for name in net.space.cells:
        net.fix(name, None)
    net.load_alphas({name: torch.tensor([[0.4, 0.0]]).expand(2, 2) for name in net.space.cells})  # skips have 0.6
    return net


def operations(genotype):
    return {pair.operation for cell in genotype.cells.values() for pair in cell.pairs}


def test_magnitude_picks_the_skips(net):
    assert operations(magnitude(net)) == {SKIP}


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_perturbation_picks_the_convolutions(net, criterion):
    settings = PerturbationSettings(
        criterion=criterion, topology="each", fraction=1.0, tune_epochs=0, tune_lr=0.1, fix_alpha=False
    )
    try:
        assert operations(Perturbation(settings)(net, Trials(net, batches, count))) == {CONV}
    finally:
        for name in net.space.cells:
            net.fix(name, None)


def test_shared_weights_pick_the_convolutions(net):
    settings = SharedWeightsSettings(samples=16, likely=0.5, criterion="loss", fraction=1.0)
    trials = Trials(net, batches, count)
    assert operations(SharedWeights(settings)(net, trials)) == {CONV}
    assert len(trials.journal["ranking"]["genotypes"]) == 16  # all there are
    assert trials.journal["ranking"]["spearman"] < 0  # what is likely is bad
