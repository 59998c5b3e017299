"""How large a network is, as the paper counts it, and what one sample costs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

#: Functions that give a tensor of the shape and type of their first argument, where all arguments are tensors of one
#: shape and one type.
_POINTWISE = (torch.relu, functional.relu, Tensor.relu, torch.add, Tensor.add, Tensor.__add__)


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
    with counting_multiply_adds() as count:
        shapes_only(*(one.to("meta") for one in inputs))
    return count()


@contextmanager
def counting_multiply_adds() -> Iterator[Callable[[], int]]:
    """Count the multiply-adds of what is computed in this context, by torch's formulas.

    Modules must be in evaluation mode on the device "meta", where only shapes matter.

    Yields:
        A function that returns the number of multiply-adds up to now.
    """
    counter = _Counter()
    with torch.no_grad(), _ShapesOnly(), counter:
        yield lambda: counter.operations // 2  # a multiply-add is two operations there


class _Counter(TorchDispatchMode):
    """Adds up what torch's formulas say about each operation.

    torch's FlopCounterMode also keeps track of modules, which takes most of its time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        formula = flop_registry.get(func.overloadpacket)
        if formula is None:
            with self:  # in inference mode a convolution arrives as a composition of the operations with formulas
                parts = func.decompose(*args, **given)
            return func(*args, **given) if parts is NotImplemented else parts
        result = func(*args, **given)
        self.operations += formula(*args, **given, out_val=result)
        return result


class _ShapesOnly(TorchFunctionMode):
    """Replaces functions that keep the shape by an empty tensor: to compute them on "meta" takes most of a pass."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if not torch.is_grad_enabled() and (
            _fits(*args[:2]) if func is functional.batch_norm else func in _POINTWISE and _alike(args, given)
        ):
            return torch.empty_like(args[0])
        return func(*args, **given)


def _fits(images: Tensor, mean: Tensor | None) -> bool:
    """Whether BatchNorm accepts this mean for these images; what it refuses, it has to see."""
    return mean is not None and images.dim() > 1 and images.shape[1] == mean.numel()


def _alike(args: Sequence[Any], given: Mapping[str, Any]) -> bool:
    first = args[0]
    return {*given} <= {"inplace"} and all(
        torch.is_tensor(one) and (one.shape, one.dtype) == (first.shape, first.dtype) for one in args
    )


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
