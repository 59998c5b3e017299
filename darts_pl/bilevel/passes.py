"""Passes through the supernet with other weights, which leave no trace in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from darts_pl.spaces import Outcome, Supernet


class _Loss(nn.Module):
    """`supernet.loss` as a forward pass, so that `functional_call` can swap its tensors."""

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.supernet = supernet

    def forward(self, batch: Any) -> Outcome:
        return self.supernet.loss(batch)


def evaluate(supernet: Supernet, batch: Any, tensors: Mapping[str, Tensor]) -> Outcome:
    """`supernet.loss(batch)` with some parameters replaced by given tensors.

    Args:
        supernet: the network; its own parameters stay as they are.
        batch: what its `loss` takes.
        tensors: replacements by parameter name. One that does not require a gradient costs none.
    """
    named = {f"supernet.{name}": tensor for name, tensor in tensors.items()}
    # No parameter of a supernet has two names, and looking for such costs more than the swap itself.
    return functional_call(_Loss(supernet), named, (batch,), tie_weights=False)


def gradients(
    of: Tensor | Sequence[Tensor],
    tensors: Sequence[Tensor],
    vectors: Sequence[Tensor] | None = None,
    *,
    create_graph: bool = False,
) -> list[Tensor]:
    """Gradient of `of` (or of the inner product with `vectors`) for each of `tensors`; zero for one
    that the pass did not use, such as a weight of a masked candidate."""
    return list(
        torch.autograd.grad(of, tensors, vectors, create_graph=create_graph, allow_unused=True, materialize_grads=True)
    )


@contextmanager
def no_trace(supernet: nn.Module) -> Iterator[None]:
    """Within it passes may update buffers and draw random numbers; on leaving both are as before."""
    buffers = _by_type(supernet.buffers())
    saved = [_copies(group) for group in buffers]
    random = RandomState(list(supernet.parameters()))
    try:
        yield
    finally:
        random.rewind()
        with torch.no_grad():
            for group, copies in zip(buffers, saved, strict=True):
                torch._foreach_copy_(group, copies)


def _by_type(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Tensors of one device and dtype together: only such are copied in one call."""
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return list(groups.values())


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """A copy of each, of one allocation; all of one device and dtype."""
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


class RandomState:
    """The state of the random number generators that a pass on these tensors' devices draws from."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._cpu = torch.get_rng_state()
        self._cuda = {
            device: torch.cuda.get_rng_state(device)
            for device in {tensor.device for tensor in tensors}
            if device.type == "cuda"
        }

    def rewind(self) -> None:
        """Set the generators back to the state at construction."""
        torch.set_rng_state(self._cpu)
        for device, state in self._cuda.items():
            torch.cuda.set_rng_state(state, device)


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """Within it float32 products are float32: no autocast, no TF32 (differences of nearly equal
    losses drown in anything less).

    Args:
        device: the type of device that the passes run on, such as "cuda".
    """
    before = [(backend, key, getattr(backend, key)) for backend, key, _ in _TF32]
    for backend, key, exact in _TF32:
        setattr(backend, key, exact)
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        for backend, key, value in before:
            setattr(backend, key, value)


def _tf32_switches() -> list[tuple[Any, str, Any]]:
    """(where, attribute, its value for full float32). torch 2.9 has new ones and refuses the old ones beside them."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    if hasattr(matmul, "fp32_precision"):
        return [(place, "fp32_precision", "ieee") for place in (matmul, cudnn.conv, cudnn.rnn)]
    return [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]


_TF32 = _tf32_switches()
