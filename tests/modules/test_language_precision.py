"""The optimizer of a language model in full and in mixed precision."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch

from tests.modules.test_language import Trace, fit, flat, module_of, text


def trained(
    precision: str, monkeypatch: pytest.MonkeyPatch, *, fused: bool | None = None, clip: float = 0.25
) -> tuple[pl.Trainer, Trace]:
    """Three clipped steps of one text; `fused` replaces the optimizer that the module chooses."""
    torch.manual_seed(3)
    module, trace = module_of(units=6), Trace()
    batches = [text(6), text(4), text(6)]
    if fused is not None:
        weights, recipe = list(module.network.parameters()), module.recipe
        sgd = torch.optim.SGD(weights, recipe.lr, weight_decay=recipe.weight_decay, fused=fused, foreach=not fused)
        monkeypatch.setattr(module, "configure_optimizers", lambda: sgd)
    trainer = fit(module, batches, precision=precision, callbacks=(trace,), clip=clip)
    assert torch.equal(trace.weights[-1], flat(module.network))
    return trainer, trace


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_one_kernel_moves_the_weights_to_where_one_call_per_operation_moves_them(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, found = trained(precision, monkeypatch)
    assert trainer.optimizers[0].param_groups[0]["fused"]
    _, expected = trained(precision, monkeypatch, fused=False)
    for ours, theirs in zip(found.weights, expected.weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6 if precision == "32-true" else 1e-14, atol=1e-14)


def test_gradients_are_clipped_under_mixed_precision_too(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, found = trained("bf16-mixed", monkeypatch, clip=0.02)
    assert not trainer.optimizers[0].param_groups[0]["fused"]
    _, full = trained("32-true", monkeypatch, clip=0.02)
    _, unclipped = trained("32-true", monkeypatch, clip=0)
    moved, expected, longer = (trace.weights[-1] - trace.weights[0] for trace in (found, full, unclipped))
    assert (moved - expected).norm() < 0.02 * expected.norm()
    assert longer.norm() > 2 * expected.norm()
