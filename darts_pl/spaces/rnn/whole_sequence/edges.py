"""What the K edges that leave one node of a mixed cell add to their target nodes, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from darts_pl.spaces.rnn.whole_sequence.slopes import known_activation

TANH = "tanh"


def edges(
    pair: Tensor,
    state: Tensor,
    weights: Tensor,
    minus: Tensor,
    living: Sequence[tuple[int, str]],
    tanh: Tensor | None,
    delta: Tensor,
) -> None:
    """Write what the gates let through of the K edges that leave one node to `delta` [B, K, H]."""
    candidate = pair[:, :, 1]
    sigmoids = pair.sigmoid()
    mixed = minus * state.unsqueeze(1)
    for column, name in living:
        mixed.addcmul_(weights[column], _value(name, candidate, sigmoids, tanh))
    torch.mul(mixed, sigmoids[:, :, 0], out=delta)


def _value(name: str, candidate: Tensor, sigmoids: Tensor, tanh: Tensor | None) -> Tensor:
    """f(d); tanh is kept for the gradient: it costs ten times what the others do."""
    if name == "sigmoid":
        return sigmoids[:, :, 1]
    if name == TANH:
        assert tanh is not None
        return tanh
    return candidate if name == "identity" else torch.relu(candidate)


def edges_backward(
    gradient: Tensor,
    pair: Tensor,
    delta: Tensor,
    tanh: Tensor,
    state: Tensor,
    weights: tuple[Tensor, Tensor],
    living: Sequence[tuple[int, str]],
    sums: Tensor | None,
    of_pair: Tensor,
) -> Tensor:
    """The gradient of the state [B, H] but for its product; that of the pre-activations is written to `of_pair`.

    Args:
        gradient: of what each of the K edges adds [B, K, H].
        pair: pre-activations [B, K, 2, H].
        delta, tanh: as they were kept [B, K, H].
        state: that the edges leave [B, H].
        weights: mixing weights [activations, K, 1] and their sums [K, 1].
        living: the activations that are computed, as (column of the mixing, name).
        sums: what the gradient of each mixing weight is added to; None = not wanted.
    """
    by_activation, present = weights
    candidate, of_candidate = pair[:, :, 1], of_pair[:, :, 1]
    sigmoids = pair.sigmoid()
    through = gradient * sigmoids[:, :, 0]
    kept = gradient - through
    torch.mul(delta, kept, out=of_pair[:, :, 0])
    if not living:
        of_candidate.zero_()
    for index, (column, name) in enumerate(living):
        value = _value(name, candidate, sigmoids, tanh) if name != "relu" else candidate
        of_value = known_activation(name).slope(through, candidate, value)
        if sums is not None:
            # For relu the slope times x, which is the value times the gradient.
            sums[index].addcmul_(of_value if name == "relu" else through, value)
        if index == 0:
            torch.mul(by_activation[column], of_value, out=of_candidate)
        else:
            of_candidate.addcmul_(by_activation[column], of_value)
    if sums is not None:
        sums[-1].addcmul_(kept, state.unsqueeze(1))
    return kept.mul_(present).sum(1)
