"""The loss of a language model, and the penalty of slowness that is added to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

#: Logits that are read at once on the CPU: they stay in its caches between two operations.
_LOGITS_AT_ONCE = 2**20


def word_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats of logits [T, B, V] for words [T, B].

    Where a gradient is asked for in float32 or float64, nothing as large as the logits is kept beside them: the
    probabilities are computed again for the gradient. The CPU does so for some rows at a time.

    Args:
        logits: [T, B, V].
        targets: int64 [T, B] in [0, V). Without a gradient a target of -100 is not counted, as in torch's function.

    Raises:
        RuntimeError: if a target is no word; on a GPU its error comes later.
    """
    rows, words = logits.flatten(0, 1), targets.flatten()
    if torch.is_grad_enabled() and rows.requires_grad and rows.dtype in (torch.float32, torch.float64):
        loss: Tensor = _MeanCrossEntropy.apply(rows, words)
        return loss
    return nn.functional.cross_entropy(rows, words)


class _MeanCrossEntropy(torch.autograd.Function):
    """For logits x [N, V] and words [N] the mean of ``-log softmax(x)[word]``; its gradient is
    ``(softmax(x) - 1[word]) / N``."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, words: Tensor) -> Tensor:
        losses = logits.new_empty(len(logits), 1)
        for part, word, loss in _parts(logits, words.unsqueeze(1), losses):
            torch.gather(part.log_softmax(1), 1, word, out=loss)
        ctx.save_for_backward(logits, words)
        return losses.mean().neg()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        logits, words = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is asked for
            loss = nn.functional.cross_entropy(logits, words)
            return torch.autograd.grad(loss, logits, gradient, create_graph=True)[0], None
        word, per_word = words.unsqueeze(1), gradient / len(logits)
        found = torch.empty_like(logits)
        for out, part in _parts(found, logits):
            torch.softmax(part, 1, out=out).mul_(per_word)
        return found.scatter_add_(1, word, -per_word.expand_as(word)), None


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same rows of several tensors [N, columns], some at a time on the CPU."""
    rows = len(tensors[0])
    if tensors[0].device.type == "cpu":
        rows = max(1, _LOGITS_AT_ONCE // max(tensor.shape[1] for tensor in tensors))
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)


def slowness(outputs: Tensor) -> Tensor:
    """Mean squared difference of successive outputs [T, B, H] (temporal activation regularisation,
    Merity et al., 2017); 0 for a single step."""
    if len(outputs) < 2:
        return outputs.new_zeros(())
    return (outputs[1:] - outputs[:-1]).pow(2).mean()
