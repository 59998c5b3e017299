"""Passes through the supernet with other weights, which leave no trace in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.dropout import _DropoutNd

from darts_pl.bilevel.draws import Draws, RandomState, Split
from darts_pl.spaces import Mixing, Outcome, Supernet


class _Loss(nn.Module):
    """`supernet.loss` as a forward pass, so that `functional_call` can swap its tensors."""

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.supernet = supernet

    def forward(self, batch: Any, mixing: Mapping[str, Mixing]) -> Outcome:
        return self.supernet.loss(batch, mixing)


def evaluate(
    supernet: Supernet, batch: Any, mixing: Mapping[str, Mixing], tensors: Mapping[str, Tensor] | None = None
) -> Outcome:
    """`supernet.loss(batch, mixing)`, with some parameters replaced by given tensors.

    Args:
        supernet: the network; its own parameters stay as they are.
        batch: what its `loss` takes.
        mixing: by cell type.
        tensors: replacements by parameter name. One that does not require a gradient costs none.
    """
    if not tensors:
        return supernet.loss(batch, mixing)
    named = {f"supernet.{name}": tensor for name, tensor in tensors.items()}
    # No parameter of a supernet has two names, and looking for such costs more than the swap itself.
    return functional_call(_Loss(supernet), named, (batch, mixing), tie_weights=False)


def drawn_pass(
    supernet: Supernet,
    batch: Any,
    split: Split,
    draws: Draws,
    tensors: Mapping[str, Tensor] | None = None,
    *,
    through_architecture: bool = True,
) -> Outcome:
    """One pass with the mixing weights and everything else that this step draws on `split`.

    Args:
        supernet, batch, tensors: see `evaluate`.
        split: whose numbers are drawn.
        draws: of the step.
        through_architecture: whether the loss can be differentiated for the architecture parameters.
    """
    device = device_of(supernet)
    with torch.set_grad_enabled(torch.is_grad_enabled() and through_architecture):
        mixing = supernet.mixing(draws(split, device), sample=True)
    with draws.seeding(split, device):
        return evaluate(supernet, batch, mixing, tensors)


def scoring_pass(supernet: Supernet, batch: Any, draws: Draws, mixing: Mapping[str, Mixing] | None = None) -> Outcome:
    """One pass that scores the supernet; what it draws comes from "eval".

    Args:
        supernet, batch: see `evaluate`.
        draws: of the batch.
        mixing: by cell type; None = the expected mixing weights, or, for a relaxation with a single path, drawn ones.
    """
    device = device_of(supernet)
    if mixing is None:
        sample = supernet.arch.relaxation.single_path
        mixing = supernet.mixing(draws("eval", device) if sample else None, sample=sample)
    with draws.seeding("eval", device):
        return evaluate(supernet, batch, mixing)


def device_of(supernet: Supernet) -> torch.device:
    """Where the architecture parameters are."""
    return next(iter(supernet.alphas.values())).device


def gradients(
    of: Tensor | Sequence[Tensor],
    tensors: Sequence[Tensor],
    vectors: Sequence[Tensor] | None = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> list[Tensor]:
    """Gradient of `of` (or of the inner product with `vectors`) for each of `tensors`; zero for one
    that the pass did not use, such as a weight of a masked candidate, and for all where it used none of them: a single
    drawn path may lead through "none" only."""
    if isinstance(of, Tensor) and not of.requires_grad:
        return [torch.zeros_like(tensor) for tensor in tensors]
    return list(
        torch.autograd.grad(of, tensors, vectors, retain_graph, create_graph, allow_unused=True, materialize_grads=True)
    )


def changing_buffers(supernet: Supernet) -> dict[str, Tensor]:
    """By name the buffers that a pass may change: not the tables of the architecture."""
    own = {id(buffer) for buffer in supernet.arch.buffers()}
    return {name: buffer for name, buffer in supernet.named_buffers() if id(buffer) not in own}


@contextmanager
def no_trace(supernet: Supernet) -> Iterator[None]:
    """Within it passes may update buffers and draw random numbers; on leaving both are as before.

    The tables of the architecture, which no pass changes, are left out.
    """
    buffers = _by_type(changing_buffers(supernet).values())
    saved = [_copies(group) for group in buffers]
    random = RandomState([device_of(supernet)])
    try:
        yield
    finally:
        random.rewind()
        with torch.no_grad():
            for group, copies in zip(buffers, saved, strict=True):
                torch._foreach_copy_(group, copies)


@contextmanager
def evaluation_mode(supernet: Supernet) -> Iterator[None]:
    """Within it every module is in evaluation mode: nothing is dropped, and BatchNorm uses its running statistics."""
    before = {module: module.training for module in supernet.modules()}
    try:
        supernet.eval()
        yield
    finally:
        for module, mode in before.items():
            module.training = mode


@contextmanager
def nothing_dropped(supernet: Supernet) -> Iterator[None]:
    """Within it nothing is dropped, and normalisations use the statistics of the batch."""
    with evaluation_mode(supernet):
        for module in supernet.modules():
            if hasattr(module, "running_mean"):
                module.training = True
        yield


@contextmanager
def batch_statistics(supernet: Supernet) -> Iterator[None]:
    """Within it BatchNorm uses the statistics of the batch: all is in training mode but torch's dropout, which is off.
    On leaving, modes, buffers and random state are as before."""
    before = [(module, module.training) for module in supernet.modules()]
    with no_trace(supernet):
        try:
            for module, _ in before:
                module.training = not isinstance(module, _DropoutNd)
            yield
        finally:
            for module, training in before:
                module.training = training


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
