"""A module whose inner maps are not kept for the backward pass, but computed again there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint


class _Call(nn.Module):
    """A function of a module and tensors as a forward pass, so that `functional_call` can swap the module's tensors."""

    def __init__(self, module: nn.Module, run: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.run = module, run

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.run(*tensors)


def recomputed(module: nn.Module, run: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """``run(*tensors)``, of which a backward pass keeps the arguments and computes the rest again.

    The second computation uses the weights and the random numbers of the first one, and leaves the module's buffers,
    such as running statistics, as they are.

    Args:
        module: whose weights `run` reads.
        run: makes one map of the tensors.
        tensors: its arguments.
    """
    if not torch.is_grad_enabled():
        return run(*tensors)
    call = _Call(module, run)
    # Those of now: an extra pass of a search has other weights in the module than it has in the backward pass.
    weights: dict[str, Tensor] = dict(call.named_parameters())

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _buffers_kept(module)

    found: Tensor = checkpoint(
        lambda *given: functional_call(call, weights, given, tie_weights=False),
        *tensors,
        use_reentrant=False,
        context_fn=contexts,
    )
    return found


@contextmanager
def _buffers_kept(module: nn.Module) -> Iterator[None]:
    """Within it the module has copies of its buffers; the buffers themselves may be part of the first graph."""
    places = [(part, name, buffer) for part in module.modules() for name, buffer in part._buffers.items()]
    for part, name, buffer in places:
        part._buffers[name] = None if buffer is None else buffer.clone()
    try:
        yield
    finally:
        for part, name, buffer in places:
            part._buffers[name] = buffer
