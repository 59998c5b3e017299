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
    monkeypatch.setattr(losses, "_LOGITS_AT_ONCE", part)
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


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_is_torchs_own(precision: torch.dtype) -> None:
    words = torch.randint(6, (4, 2))
    ours, theirs = (torch.randn(4, 2, 6).to(precision).requires_grad_() for _ in range(2))
    theirs.data.copy_(ours.data)
    with torch.autocast("cpu", torch.bfloat16):
        found = word_loss(ours, words)
        expected = torch.nn.functional.cross_entropy(theirs.flatten(0, 1), words.flatten())
    assert torch.equal(found, expected)
    found.backward()
    expected.backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_without_a_gradient_a_word_of_minus_100_is_not_counted_and_with_one_it_is_refused() -> None:
    logits, words = torch.randn(4, 2, 6), torch.randint(6, (4, 2))
    words[1, 0] = -100
    counted = words.flatten() != -100
    with torch.no_grad():
        found = word_loss(logits, words)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1)[counted], words.flatten()[counted])
    torch.testing.assert_close(found, expected)
    with pytest.raises(RuntimeError, match="out of bounds"):
        word_loss(logits.requires_grad_(), words)


def test_logits_need_not_be_contiguous() -> None:
    logits = torch.randn(7, 3, 5, dtype=torch.float64).permute(2, 1, 0).requires_grad_()
    words = torch.randint(7, (5, 3))
    (ours,) = torch.autograd.grad(word_loss(logits, words), logits)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), words.flatten())
    (theirs,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-15)


def test_nothing_of_the_size_of_the_logits_is_kept_beside_them() -> None:
    kept: dict[int, int] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    logits = torch.randn(8, 4, 100, requires_grad=True)
    with saved_tensors_hooks(pack, lambda x: x):
        word_loss(logits, torch.randint(100, (8, 4)))
    assert sum(nbytes for place, nbytes in kept.items() if place != logits.untyped_storage().data_ptr()) <= 32 * 8
