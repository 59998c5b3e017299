"""How large a network is, as the paper counts it, and what one sample costs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Number of weights without an auxiliary tower, as the paper counts."""
    return sum(
        parameter.numel() for name, parameter in network.named_parameters() if not name.startswith("auxiliary_head.")
    )


def count_multiply_adds(network: nn.Module, channels: int, height: int, width: int) -> int:
    """Multiply-adds of all convolutions and linear layers for one image [channels, height, width].

    Nothing else counts (BatchNorm, pooling, additions), nor does an auxiliary tower. Published
    counts follow other conventions: the 574M of DARTS on ImageNet, for one.
    """
    return multiply_adds_of(network, [torch.empty(1, channels, height, width, device="meta")])


def multiply_adds_of(network: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Multiply-adds of all convolutions and linear layers in a pass with these inputs, of which only the
    shapes matter."""
    shapes_only = copy.deepcopy(network).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shapes_only(*(one.to("meta") for one in inputs))
    return counter.get_total_flops() // 2  # a multiply-add is two operations there


def min_batch_size(network: nn.Module, channels: int, height: int, width: int, *others: Any) -> int:
    """Images [channels, height, width] that a training batch of this network must hold.

    2 where BatchNorm reads a map of 1x1, which it averages over the batch alone: in the auxiliary
    tower for small images, or where the cells bring a small image down to one pixel. Otherwise 1.
    Found by a pass through a copy of the network, which must be on the CPU.

    Args:
        network: takes images and `others`.
        channels, height, width: of an image.
        others: what the network takes beside the images, such as the mixing of a supernet.
    """
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            copy.deepcopy(network).train()(torch.zeros(1, channels, height, width), *others)
    except ValueError:  # of torch: "Expected more than 1 value per channel when training"
        return 2
    return 1
