"""The loss of words is torch's cross-entropy, with its derivatives."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from darts_pl.spaces import word_loss
from darts_pl.spaces.rnn import losses


@pytest.mark.parametrize("part", [1, 17, 50, 2**20])
def test_it_and_its_gradient_are_those_of_torch_however_many_rows_are_read_at_once(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_PART", part)
    logits = (20 * torch.randn(5, 3, 7, dtype=torch.float64)).requires_grad_()
    words = torch.randint(7, (5, 3))
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), words.flatten())
    found = word_loss(logits, words)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    (ours,) = torch.autograd.grad(0.7 * found, logits)
    (theirs,) = torch.autograd.grad(0.7 * expected, logits)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-15)


def test_it_can_be_differentiated_twice() -> None:
    logits = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    words = torch.randint(4, (3, 2))
    assert torch.autograd.gradcheck(lambda x: word_loss(x, words), logits)
    assert torch.autograd.gradgradcheck(lambda x: word_loss(x, words), logits)


def test_a_gradient_can_be_taken_again_from_a_kept_graph() -> None:
    logits = torch.randn(3, 2, 4, requires_grad=True)
    loss = word_loss(logits, torch.randint(4, (3, 2)))
    (first,) = torch.autograd.grad(loss, logits, retain_graph=True)
    (second,) = torch.autograd.grad(loss, logits)
    assert torch.equal(first, second)


def test_float32_is_as_precise_as_torch_with_logits_far_from_zero() -> None:
    logits = 30 * torch.randn(40, 8, 50) + 100
    words = torch.randint(50, (40, 8))

    def gradient(x: torch.Tensor, plain: bool) -> torch.Tensor:
        x = x.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(x.flatten(0, 1), words.flatten()) if plain else word_loss(x, words)
        return torch.autograd.grad(loss, x)[0]

    exact = gradient(logits.double(), plain=True)
    theirs = (gradient(logits, plain=True) - exact).norm() / exact.norm()
    ours = (gradient(logits, plain=False) - exact).norm() / exact.norm()
    assert ours < 1.5 * theirs


def test_half_precision_and_evaluation_are_torchs_own() -> None:
    words = torch.randint(6, (4, 2))
    logits = torch.randn(4, 2, 6)
    with torch.no_grad():
        assert torch.equal(
            word_loss(logits, words), torch.nn.functional.cross_entropy(logits.flatten(0, 1), words.flatten())
        )
    low = logits.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = word_loss(low, words)
    assert loss.dtype is torch.float32
    loss.backward()
    assert low.grad is not None


def test_nothing_of_the_size_of_the_logits_is_kept_beside_them() -> None:
    kept: dict[int, int] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    logits = torch.randn(8, 4, 100, requires_grad=True)
    with saved_tensors_hooks(pack, lambda x: x):
        word_loss(logits, torch.randint(100, (8, 4)))
    assert sum(nbytes for place, nbytes in kept.items() if place != logits.untyped_storage().data_ptr()) <= 32 * 8
