"""The candidate `noise` against numbers recorded from the RobustDARTS authors' code, in float64."""

import pytest
import torch

from darts_pl.ops.noise import Noise
from darts_pl.spaces import Parts
from tests.parity.recorded import batch, check_weight_pass, supernet_of

pytestmark = pytest.mark.parity


class Recorded(Noise):
    """Gives a recorded draw."""

    def __init__(self, values):
        super().__init__(stride=1)
        self.values = values

    def forward(self, x):
        return self.values.to(x)


def test_a_supernet_with_recorded_noise_gives_the_recorded_losses_and_gradients(noise_file, recorded_in, agrees):
    data = recorded_in(noise_file)
    net = supernet_of(data, Parts())
    draws = iter(data["noise"])
    for cell in net.cells:
        for edge in range(len(net.space.cells["normal"].edges)):
            source, _ = net.space.cells["normal"].edges[edge]
            place = net.space.cells["normal"].leaving(source).index(edge)
            cell.mixed[source].operations["noise"].each[place] = Recorded(next(draws).double())
    check_weight_pass(agrees, noise_file, data, net, net.mixing())
    gradients = torch.autograd.grad(
        net.loss(batch(data, "train"), net.mixing()).loss,
        list(net.alphas.values()),
        allow_unused=True,
        materialize_grads=True,
    )
    for found, expected in zip(gradients, data["grad_alpha_train"], strict=True):
        agrees(noise_file, "grad_alpha_train", found, expected)
