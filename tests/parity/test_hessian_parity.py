"""The Hessian of the validation loss in the alphas against numbers recorded from the RobustDARTS authors' code."""

import pytest
import torch

from darts_pl.spaces import Parts
from tests.parity.recorded import batch, supernet_of

pytestmark = pytest.mark.parity


def test_the_hessian_in_the_architecture_is_the_recorded_one(hessian_file, recorded_in, agrees):
    data = recorded_in(hessian_file)
    net = supernet_of(data, Parts())
    alphas = list(net.architecture().values())
    loss = net.loss(batch(data, "valid"), net.mixing()).loss
    agrees(hessian_file, "valid_loss", loss, data["valid_loss"])
    # Theirs adds the weight decay of the alphas to the gradient before it differentiates it again.
    decay = data["hyper"]["arch_weight_decay"]
    gradients = [
        gradient + decay * values
        for gradient, values in zip(torch.autograd.grad(loss, alphas, create_graph=True), alphas, strict=True)
    ]
    for found, expected in zip(gradients, data["gradient_plus_weight_decay"], strict=True):
        agrees(hessian_file, "gradient_plus_weight_decay", found, expected)
    rows = []
    for entry in torch.cat([gradient.flatten() for gradient in gradients]):
        parts = torch.autograd.grad(entry, alphas, retain_graph=True, materialize_grads=True, allow_unused=True)
        rows.append(torch.cat([part.flatten() for part in parts]))
    hessian = torch.stack(rows)
    agrees(hessian_file, "hessian_plus_weight_decay", hessian, data["hessian_plus_weight_decay"])
    eigenvalues = torch.linalg.eigvalsh((hessian + hessian.T) / 2)
    agrees(hessian_file, "eigenvalues_sorted", eigenvalues, data["eigenvalues_sorted"].sort().values)
