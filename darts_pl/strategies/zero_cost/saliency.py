"""Scores from the gradients of the weights: snip, grad_norm and synflow.

All three read the weights of convolutions and linear layers, as the code of Abdelfattah, Mehrotra, Dudziak and Lane
does ("Zero-cost proxies for lightweight NAS", ICLR 2021); BatchNorm and biases do not count.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from darts_pl.strategies.zero_cost.registry import ZERO_COST, logits_of


@ZERO_COST.register("snip")
def snip(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """The sum of |weight * gradient| over all weights (Lee, Ajanthan and Torr, "SNIP", ICLR 2019, equation 6, summed
    over the network by Abdelfattah et al., section 3.2).

    Args:
        network: a classifier.
        x: inputs [B, ...].
        labels: [B]; the loss is the cross-entropy.
    """
    return _over_layers(network, x, labels, lambda weight, gradient: (weight * gradient).abs().sum())


@ZERO_COST.register("grad_norm")
def grad_norm(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """The sum of the Euclidean norms of the layers' gradients (Abdelfattah et al., section 3.1).

    Args:
        network: a classifier.
        x: inputs [B, ...].
        labels: [B]; the loss is the cross-entropy.
    """
    return _over_layers(network, x, labels, lambda weight, gradient: gradient.norm())


@ZERO_COST.register("synflow")
def synflow(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """log(1 + S), where S is the sum over all weights of weight * gradient of the sum of the outputs, in a network
    without BatchNorm whose parameters are replaced by their absolute values, for an input of ones (Tanaka, Kunin,
    Yamins and Ganguli, "Pruning neural networks without any data by iteratively conserving synaptic flow", NeurIPS
    2020, equation 2; over the network: Abdelfattah et al., section 3.2).

    The logarithm changes no order; S itself has 20 digits and more. The pass is in float64.

    Args:
        network: a classifier; a copy is changed.
        x: inputs [B, ...]; only their shape is read.
        labels: not read.
    """
    linear = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_()
        for module in linear.modules():
            if isinstance(module, _BatchNorm):
                _make_identity(module)
    weights = _weights(linear)
    ones = torch.ones_like(x[:1], dtype=torch.float64)
    gradients = torch.autograd.grad(logits_of(linear, ones).sum(), weights, allow_unused=True)
    flow = sum(
        float((weight.detach() * gradient).sum())
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None
    )
    return math.log1p(flow)


def _make_identity(norm: _BatchNorm) -> None:
    """Let a BatchNorm in evaluation mode return its input."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    if norm.affine:
        norm.weight.fill_(1)
        norm.bias.zero_()


def _over_layers(network: nn.Module, x: Tensor, labels: Tensor, measure: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The sum of a measure of weight and gradient over all layers."""
    weights = _weights(network)
    loss = nn.functional.cross_entropy(logits_of(network, x), labels)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return sum(
        float(measure(weight.detach(), gradient))
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None
    )


def _weights(network: nn.Module) -> list[Tensor]:
    return [module.weight for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
