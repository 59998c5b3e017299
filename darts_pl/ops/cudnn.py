"""cuDNN's gradients of depthwise convolutions, each shape compared once with those of torch's own kernels.

On an H100 with torch 2.11 one step of the convolutional search led to another loss (1.742) than on the CPU and than
the same network in NCHW (both 1.693), whose depthwise convolutions do not go through cuDNN. Errors of this kind on
that card are known (pytorch/pytorch, issue 150700), and those for stride and dilation of 2 from the release notes of
cuDNN 8.9.7. Rounding to TF32 is not the cause: simulated, it changes that loss by 0.0004.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

#: The gradients of a depthwise convolution for its input and its filters.
Gradients = tuple[Tensor | None, Tensor | None]
#: Largest relative error that rounding explains: that of TF32, and that of 16-bit numbers.
TOLERANCE = {torch.float32: 3e-3, torch.float64: 1e-9}
TOLERANCE_16_BIT = 3e-2
#: By shape whether cuDNN's gradients are those of torch's own kernels.
_agrees: dict[tuple[Any, ...], bool] = {}


def on_gpu(x: Tensor) -> bool:
    """Whether a computation on x is CUDA's."""
    return x.is_cuda


@contextmanager
def without_cudnn() -> Iterator[None]:
    """Within it convolutions use torch's own kernels."""
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def compared_once(compute: Callable[..., Gradients], tensors: Sequence[Tensor], *settings: Any) -> Gradients:
    """What `compute` gives: with cuDNN where this agrees with torch's own kernels, else with those.

    The first call for tensors of these shapes computes both and waits for the device; later ones do not.

    Args:
        compute: a function of the tensors and settings.
        tensors: on the device; their shapes, types and layouts decide what cuDNN runs.
        settings: hashable.
    """
    key = (*((*x.shape, x.dtype, x.stride(), x.device) for x in tensors), *settings)
    if key not in _agrees:
        found = compute(*tensors, *settings)
        with without_cudnn():
            own = compute(*tensors, *settings)
        _agrees[key] = all(map(_close, found, own))
        if _agrees[key]:
            return found
        _warn()
        return own
    if _agrees[key]:
        return compute(*tensors, *settings)
    with without_cudnn():
        return compute(*tensors, *settings)


def _close(found: Tensor | None, own: Tensor | None) -> bool:
    if found is None or own is None:
        return found is own
    tolerance = TOLERANCE.get(own.dtype, TOLERANCE_16_BIT)
    return bool((found.double() - own.double()).norm() <= tolerance * own.double().norm())


def _warn() -> None:
    warnings.warn(
        f"cuDNN {torch.backends.cudnn.version()} computes wrong gradients of a depthwise convolution on this device; "
        "torch's own kernels are used instead",
        stacklevel=2,
    )
