"""The candidate `noise`, alone and with drop-path, against numbers from the RobustDARTS authors' code, in float64."""

import pytest
import torch
from torch import nn

from darts_pl.ops.noise import Noise
from darts_pl.spaces import DropPath, DropPathSettings, Parts
from tests.parity.recorded import batch, check_weight_pass, supernet_of, weight_norms

pytestmark = pytest.mark.parity


class Recorded(Noise):
    """Gives a recorded draw."""

    def __init__(self, values):
        super().__init__(stride=1)
        self.values = values

    def forward(self, x):
        return self.values.to(x)


class Masks(nn.Module):
    """In place of a dropout: keeps what was recorded as kept, and enlarges it as a dropout does.

    Args:
        kept: 1 or 0, [edges, samples].
        probability: of dropping.
    """

    def __init__(self, kept, probability):
        super().__init__()
        self.kept, self.p = kept, probability

    def forward(self, ones):
        return ones * self.kept.to(ones).view_as(ones) / (1 - self.p)


def with_recorded_noise(data, parts):
    """The recorded supernet, whose noise is the recorded one."""
    net = supernet_of(data, parts)
    draws = iter(data["noise"])
    for cell in net.cells:
        space = net.space.cells["normal"]
        for edge, (source, _) in enumerate(space.edges):
            place = space.leaving(source).index(edge)
            cell.mixed[source].operations["noise"].each[place] = Recorded(next(draws).double())
    return net


def check_alpha_gradients(agrees, path, what, data, recorded, net):
    """Gradients of the train loss in the alphas; those of a cell type without a cell are 0."""
    gradients = torch.autograd.grad(
        net.loss(batch(data, "train"), net.mixing()).loss,
        list(net.alphas.values()),
        allow_unused=True,
        materialize_grads=True,
    )
    for found, expected in zip(gradients, recorded["grad_alpha_train"], strict=True):
        agrees(path, what, found, expected)


def test_a_supernet_with_recorded_noise_gives_the_recorded_losses_and_gradients(noise_file, recorded_in, agrees):
    data = recorded_in(noise_file)
    net = with_recorded_noise(data, Parts())
    check_weight_pass(agrees, noise_file, data, net, net.mixing())
    check_alpha_gradients(agrees, noise_file, "grad_alpha_train", data, data, net)


@pytest.mark.quantities("drop_path")
def test_with_recorded_drop_path_the_losses_and_gradients_are_the_recorded_ones(noise_file, recorded_in, agrees):
    data = recorded_in(noise_file)
    recorded = data["drop_path"]
    probability = recorded["probability"]
    net = with_recorded_noise(data, Parts(edges=DropPath(DropPathSettings(rate=probability))))
    assert len(net.cells) == 1
    for source, mixed in enumerate(net.cells[0].mixed):
        mixed.drop = Masks(recorded["masks"][list(net.space.cells["normal"].leaving(source))], probability)
    assert (recorded["masks"] == 0).any()
    outcome = net.loss(batch(data, "train"), net.mixing())
    agrees(noise_file, "drop_path logits", outcome.outputs, recorded["logits_train_mode"])
    agrees(noise_file, "drop_path loss", outcome.loss, recorded["train_loss"])
    norm, _ = weight_norms(net, outcome.loss, data["state_dict"])
    agrees(noise_file, "drop_path grad_w_norm", norm, recorded["grad_w_norm"])
    check_alpha_gradients(agrees, noise_file, "drop_path grad_alpha_train", data, recorded, net)
