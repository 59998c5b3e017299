"""Scores at initialization against closed forms on linear networks, and a plain loop over pairs of images."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from darts_pl.genotype import parse
from darts_pl.spaces import build
from darts_pl.strategies.zero_cost import ZERO_COST, grad_norm, jacob_cov, kernel_of_codes, naswot, snip, synflow

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 2, 1, 2, 0])


def linear(*sizes: int, bias: bool = True) -> nn.Sequential:
    """Linear layers with nothing between them."""
    return nn.Sequential(*(nn.Linear(first, second, bias=bias) for first, second in itertools.pairwise(sizes)))


def gradient_of_one_layer(layer: nn.Linear) -> np.ndarray:
    """Of the mean cross-entropy: (softmax - one hot)^T x / B."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    logits = X.numpy() @ weight.T + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return (probabilities - np.eye(3)[LABELS]).T @ X.numpy() / len(X)


def test_snip_and_grad_norm_are_the_closed_forms_of_a_linear_classifier():
    network = linear(4, 3)
    gradient = gradient_of_one_layer(network[0])
    assert snip(network, X, LABELS) == pytest.approx(np.abs(network[0].weight.detach().numpy() * gradient).sum())
    assert grad_norm(network, X, LABELS) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


def test_synflow_is_the_number_of_layers_times_the_sum_of_all_paths():
    network = linear(4, 6, 5, 3, bias=False)
    paths = np.ones(4)
    for layer in network:
        paths = np.abs(layer.weight.detach().double().numpy()) @ paths
    assert synflow(network, X, LABELS) == pytest.approx(math.log1p(3 * paths.sum()), rel=1e-12)


def test_synflow_reads_no_batch_norm_and_leaves_the_network_as_it_was():
    plain = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.Flatten(), nn.Linear(12, 2))
    normed = nn.Sequential(plain[0], nn.BatchNorm2d(3), *plain[1:])
    with torch.no_grad():
        normed[1].running_var.fill_(7.0)
        normed[1].weight.fill_(-2.0)
    before = {name: tensor.clone() for name, tensor in normed.state_dict().items()}
    x = torch.zeros(4, 2, 2, 2)
    assert synflow(normed, x, LABELS[:4]) == pytest.approx(synflow(plain, x, LABELS[:4]), rel=1e-12)
    assert all(torch.equal(tensor, before[name]) for name, tensor in normed.state_dict().items())


def test_jacob_cov_of_a_linear_network_is_that_of_equal_jacobians():
    # All Jacobians are equal, so the matrix of correlations is all ones: eigenvalues B, 0, ..., 0.
    images, k = len(X), 1e-5
    expected = -(math.log(images + k) + 1 / (images + k)) - (images - 1) * (math.log(k) + 1 / k)
    assert jacob_cov(linear(4, 3), X, LABELS) == pytest.approx(expected, rel=1e-4)


def test_jacob_cov_is_that_of_numpy_s_correlations():
    network = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    x = X.double()
    first, second = (network[index].weight.detach().numpy() for index in (0, 2))
    inside = x.numpy() @ first.T + network[0].bias.detach().numpy()
    jacobians = ((1 - np.tanh(inside) ** 2) * second.sum(0)) @ first
    values = np.linalg.eigvals(np.corrcoef(jacobians)).real + 1e-5
    assert jacob_cov(network, x, LABELS) == pytest.approx(-(np.log(values) + 1 / values).sum(), rel=1e-4)


def test_jacob_cov_of_an_output_that_reads_no_image_is_no_number():
    network = linear(4, 3)
    nn.init.zeros_(network[0].weight)
    assert math.isnan(jacob_cov(network, X, LABELS))


def test_the_kernel_counts_agreements_of_activation_codes_as_a_loop_does():
    network = nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 3))
    first = (network[0](X) > 0).tolist()
    second = (network[2](network[1](network[0](X))) > 0).tolist()
    codes = [one + other for one, other in zip(first, second, strict=True)]
    expected = [[sum(one == other for one, other in zip(a, b, strict=True)) for b in codes] for a in codes]
    kernel = kernel_of_codes(network, X)
    assert kernel.tolist() == expected
    sign, value = np.linalg.slogdet(np.array(expected, dtype=float))
    assert naswot(network, X, LABELS) == pytest.approx(value)
    assert sign == 1


def test_the_kernel_sees_every_relu_of_a_nas_bench_201_network():
    genotype = parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|")
    network = build(genotype, channels=4, cells=2, classes=10, in_channels=3).train()
    x = torch.randn(6, 3, 8, 8)
    elements = [4 * 64, 8 * 16, 16 * 4]  # of the maps of the three stages
    convolutions = 3 * 2 * sum(elements)  # three per cell, two cells per stage; each has its own ReLU
    blocks = (elements[0] + elements[1]) + (elements[1] + elements[2])  # the two layers of both residual blocks
    total = convolutions + blocks + elements[2]  # and the ReLU before the pooling
    assert kernel_of_codes(network, x).diagonal().tolist() == [total] * 6


def test_every_score_is_a_number_on_a_convolutional_cell_with_shared_and_joined_operations():
    pairs = "[('sep_conv_3x3', 0), ('dil_conv_5x5', 1), ('skip_connect', 0), ('max_pool_3x3', 1)]"
    genotype = parse(f"Genotype(normal={pairs}, normal_concat=[2, 3], reduce={pairs}, reduce_concat=[2, 3])")
    network = build(genotype, init_channels=4, layers=3, classes=10).train()
    x, labels = torch.randn(6, 3, 16, 16), torch.arange(6)
    found = {name: ZERO_COST.get(name)(network, x, labels) for name in ZERO_COST}
    assert set(found) == {"snip", "grad_norm", "synflow", "jacob_cov", "naswot"}
    # By hand, through torch's own backward pass.
    network.zero_grad()
    nn.functional.cross_entropy(network(x), labels).backward()
    layers = [
        one for one in network.modules() if isinstance(one, (nn.Conv2d, nn.Linear)) and one.weight.grad is not None
    ]
    assert found["grad_norm"] == pytest.approx(sum(float(one.weight.grad.norm()) for one in layers), rel=1e-4)
    assert found["snip"] == pytest.approx(
        sum(float((one.weight.detach() * one.weight.grad).abs().sum()) for one in layers), rel=1e-4
    )
    assert all(math.isfinite(value) for value in found.values())
