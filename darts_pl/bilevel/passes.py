"""Passes through the supernet with other weights, which leave no trace in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    buffers = list(supernet.buffers())
    saved = _copies(buffers)
    random = RandomState(buffers)
    try:
        yield
    finally:
        random.rewind()
        if buffers:
            with torch.no_grad():
                torch._foreach_copy_(buffers, saved)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """A copy of each tensor, of one allocation per device and dtype."""
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for index, tensor in enumerate(tensors):
        groups.setdefault((tensor.device, tensor.dtype), []).append(index)
    result: list[Tensor] = [torch.empty(0)] * len(tensors)
    for indices in groups.values():
        flat = torch.cat([tensors[index].detach().reshape(-1) for index in indices])
        parts = flat.split([tensors[index].numel() for index in indices])
        for index, part in zip(indices, parts, strict=True):
            result[index] = part.view(tensors[index].shape)
    return result


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
def full_precision() -> Iterator[None]:
    """Within it float32 products are float32: no autocast, no TF32 (differences of nearly equal
    losses drown in anything less)."""
    matmul, conv = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, conv
