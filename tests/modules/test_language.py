"""The training of a language model, each part against a closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from darts_pl.data import BatchLoader, EvaluationSequences
from darts_pl.errors import UserError
from darts_pl.modules import LanguageModule, LanguageRecipe, LanguageScores
from darts_pl.modules.language import worse_than_before
from darts_pl.runs import quiet_lightning
from darts_pl.spaces import LanguageModel, Outcome
from darts_pl.zoo import published

VOCABULARY = 13


def module_of(units: int = 4, **changes: Any) -> LanguageModule:
    recipe = {
        "lr": 2.0,
        "weight_decay": 1e-2,
        "bptt": 6,
        "slowness": 0.0,
        "activation": 0.0,
        "patience_epochs": 5,
        "rollbacks": 2,
    }
    network = LanguageModel(published("darts_v2_rnn"), vocabulary=VOCABULARY, units=units)
    return LanguageModule(network, LanguageRecipe(**recipe | changes))


def text(length: int, streams: int = 3) -> tuple[Tensor, Tensor]:
    tokens = torch.randint(VOCABULARY, (length + 1, streams))
    return tokens[:-1], tokens[1:]


class Given:
    """The same batches in every epoch."""

    def __init__(self, batches: list[tuple[Tensor, Tensor]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __call__(self, round: int, i: int, /) -> tuple[Tensor, Tensor]:
        return self.batches[i]


def trainer_of(epochs: int = 1, *, clip: float = 0.25, callbacks: Any = (), precision: Any = "64-true") -> pl.Trainer:
    quiet_lightning()
    return pl.Trainer(
        accelerator="cpu",
        precision=precision,
        max_epochs=epochs,
        gradient_clip_val=clip,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def fit(module: LanguageModule, batches: list[tuple[Tensor, Tensor]], **options: Any) -> pl.Trainer:
    trainer = trainer_of(**options)
    trainer.fit(module, BatchLoader(Given(batches)), BatchLoader(Given([text(5)])))
    return trainer


def flat(network: LanguageModel) -> Tensor:
    return torch.cat([weight.detach().double().flatten() for weight in network.parameters()])


class Trace(pl.Callback):
    """The weights, the learning rate and the average after every step."""

    def __init__(self) -> None:
        self.weights: list[Tensor] = []
        self.averaged: list[Tensor | None] = []
        self.lr: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self.weights.append(flat(pl_module.network))
        self.averaged.append(None if pl_module.averaged is None else flat(pl_module.averaged.module))
        self.lr.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.mark.parametrize("length", [3, 6, 9])
def test_a_step_has_the_learning_rate_times_length_over_bptt_and_the_gradient_is_clipped(length: int) -> None:
    module = module_of(slowness=0.5, activation=0.25)
    module.network.double()
    batch = text(length)
    before = flat(module.network)
    sequence = module.network(batch[0])
    loss = torch.nn.functional.cross_entropy(sequence.logits.flatten(0, 1), batch[1].flatten())
    difference = sequence.outputs[1:] - sequence.outputs[:-1]
    loss = loss + 0.5 * difference.square().mean() + 0.25 * sequence.outputs.square().mean()
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(module.network.parameters()))])
    clipped = gradient * min(1.0, 0.25 / (float(gradient.norm()) + 1e-6))
    trace = Trace()
    fit(module, [batch], callbacks=(trace,))
    expected = before - 2.0 * length / 6 * (clipped + 1e-2 * before)
    torch.testing.assert_close(flat(module.network), expected, rtol=1e-12, atol=1e-12)
    assert trace.lr == [2.0]  # as before, after the step


def test_the_hidden_state_is_carried_through_an_epoch_and_starts_again_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, seen = module_of(), []
    forward = module.network.forward

    def record(tokens: Tensor, hidden: Tensor | None = None) -> Any:
        sequence = forward(tokens, hidden)
        if module.training:
            seen.append((hidden, sequence.outputs[-1].detach()))
        return sequence

    monkeypatch.setattr(module.network, "forward", record)
    fit(module, [text(6), text(6), text(4)], epochs=2)
    starts, ends = zip(*seen, strict=True)
    assert starts[0] is None
    assert starts[3] is None
    for i in (1, 2, 4, 5):
        assert torch.equal(starts[i], ends[i - 1])
        assert not starts[i].requires_grad


@pytest.mark.parametrize("patience_epochs", [1, 5])
def test_the_trigger_compares_with_the_best_of_all_but_the_last_epochs(patience_epochs: int) -> None:
    losses = [5.0, 3.0, 4.0, 4.5, 4.2, 4.1, 3.5, 3.2, 3.05, 3.01, 3.0, 2.9, 3.1]
    for t, loss in enumerate(losses):
        # v_t > min(v_0 .. v_{t-n-1}) with n = patience_epochs
        expected = t > patience_epochs and loss > min(losses[: t - patience_epochs])
        assert worse_than_before(losses[:t], loss, patience_epochs) is expected
    assert not any(worse_than_before([4.0] * t, 9.0, 5) for t in range(6))
    assert worse_than_before([4.0] * 6, 9.0, 5)


def test_after_the_trigger_the_mean_of_the_weights_is_kept_and_validated_while_sgd_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = iter([5.0, 4.0, 6.0, 7.0, 8.0])  # with patience_epochs=1 epoch 2 is the first that is worse: 6 > min(5)
    module, trace, scored = module_of(patience_epochs=1), Trace(), []
    end = module.end_of_validation

    def given(loss: float) -> None:
        scored.append(flat(module.evaluated))
        end(next(losses))

    monkeypatch.setattr(module, "end_of_validation", given)
    fit(module, [text(6), text(6)], epochs=5, callbacks=(trace,))
    assert trace.averaged[:6] == [None] * 6
    for step in range(6, 10):
        expected = torch.stack(trace.weights[6 : step + 1]).mean(0)
        torch.testing.assert_close(trace.averaged[step], expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(scored[2], trace.weights[5])
    torch.testing.assert_close(scored[4], torch.stack(trace.weights[6:10]).mean(0))
    best = torch.cat([value.flatten() for value in module.best.values()])
    assert torch.equal(best, trace.weights[3])  # of epoch 1, loss 4


def test_averaging_changes_nothing_in_the_steps_themselves() -> None:
    batches, ends = [text(6), text(5)], []
    start = module_of().network.state_dict()
    for averaging in (False, True):
        module = module_of()
        module.network.load_state_dict(start)
        if averaging:
            module._start_averaging()
        fit(module, batches, epochs=2)
        ends.append(flat(module.network))
    assert torch.equal(*ends)


def spoil(monkeypatch: pytest.MonkeyPatch, module: LanguageModule, *, at: tuple[int, ...]) -> None:
    """Make the loss of some training steps infinite."""
    steps, forward = iter(range(1000)), module.network.forward

    def broken(tokens: Tensor, hidden: Tensor | None = None) -> Any:
        sequence = forward(tokens, hidden)
        bad = module.training and next(steps) in at
        return sequence._replace(logits=sequence.logits * math.nan) if bad else sequence

    monkeypatch.setattr(module.network, "forward", broken)


def test_a_non_finite_loss_leads_back_to_the_best_weights(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, trace = module_of(), Trace()
    spoil(monkeypatch, module, at=(3,))
    trainer = fit(module, [text(6), text(6)], epochs=2, callbacks=(trace,))
    assert torch.equal(trace.weights[3], trace.weights[1])  # those that the first epoch validated
    assert not torch.equal(trace.weights[2], trace.weights[1])
    assert "back to the best weights (roll-back 1 of 2)" in caplog.text
    assert trainer.callback_metrics["retrain/rollbacks"] == 1


def test_a_roll_back_before_any_validation_leads_to_the_initial_weights_and_restarts_averaging(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, trace = module_of(), Trace()
    module.network.double()
    module.best = {name: value.double() for name, value in module.best.items()}
    module._start_averaging()
    start = flat(module.network)
    spoil(monkeypatch, module, at=(1,))
    fit(module, [text(6), text(6), text(6)], callbacks=(trace,))
    assert torch.equal(trace.weights[1], start)
    assert torch.equal(trace.averaged[2], trace.weights[2])


def test_a_loss_that_is_non_finite_on_another_rank_leads_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    module, trace = module_of(), Trace()
    elsewhere = iter([0.0, 0.0, 0.0, 1.0])  # what the other rank found in each step

    def largest(self: Any, tensor: Tensor, *_: Any, reduce_op: str = "mean") -> Tensor:
        return tensor.clamp(min=next(elsewhere)) if reduce_op == "max" else tensor

    monkeypatch.setattr(SingleDeviceStrategy, "reduce", largest)
    fit(module, [text(6), text(6)], epochs=2, callbacks=(trace,))
    assert torch.equal(trace.weights[3], trace.weights[1])  # those that the first epoch validated, no decay
    assert not torch.equal(trace.weights[2], trace.weights[1])
    assert module.rollbacks == 1


def test_the_training_ends_with_advice_when_it_has_rolled_back_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(rollbacks=2)
    spoil(monkeypatch, module, at=(0, 1, 2))
    with pytest.raises(UserError, match=r"(?s)after 2 roll-backs.*train\.lr=2\.0.*train\.rollbacks=2") as caught:
        fit(module, [text(6)] * 4)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_non_finite_validation_loss_leads_back_too() -> None:
    module = module_of()
    module.end_of_validation(2.0)
    best = {name: value.clone() for name, value in module.best.items()}
    with torch.no_grad():
        module.network.words.weight.fill_(math.nan)
    module.end_of_validation(math.nan)
    assert module.losses == [2.0]
    assert all(torch.equal(module.network.state_dict()[name], value) for name, value in best.items())


@pytest.mark.parametrize(("batch_size", "bptt"), [(1, 7), (4, 3), (10, 50)])
def test_perplexity_is_exp_of_the_mean_over_all_words_whatever_the_batch(batch_size: int, bptt: int) -> None:
    module = module_of()
    with torch.no_grad():  # the cell gives zeros, so that every word's loss depends on no context
        for weight in module.network.cell.parameters():
            weight.zero_()
        module.network.words.weight.zero_()
        module.network.words.bias.copy_(torch.randn(VOCABULARY))
    module.best = {name: value.clone() for name, value in module.network.state_dict().items()}
    tokens = torch.randint(VOCABULARY, (83,))
    loader = BatchLoader(EvaluationSequences(tokens, batch_size, bptt))
    trainer = trainer_of()
    (found,) = trainer.test(module, loader, verbose=False)
    expected = -module.network.words.bias.detach().double().log_softmax(0)[tokens[1:]].mean()
    assert found["test/loss"] == pytest.approx(float(expected), rel=1e-6)
    assert found["test/perplexity"] == pytest.approx(math.exp(float(expected)), rel=1e-6)


def test_a_batch_without_a_counted_word_changes_no_score_and_a_non_finite_loss_every_one() -> None:
    scores, words = LanguageScores(), torch.zeros(3, 2, dtype=torch.long)
    for loss, targets in ((2.0, words), (math.nan, words - 100), (4.0, words[:1])):  # 6, none and 2 words
        scores.observe(Outcome(torch.tensor(loss), torch.tensor(loss)), (words, targets))
    assert float(scores["loss"].compute()) == pytest.approx((6 * 2 + 2 * 4) / 8)
    assert float(scores["perplexity"].compute()) == pytest.approx(math.exp(2.5))
    scores.observe(Outcome(torch.tensor(math.nan), torch.tensor(math.nan)), (words, words))
    assert math.isnan(float(scores["loss"].compute()))


def test_a_perplexity_beyond_all_numbers_is_infinite() -> None:
    module = module_of()
    module.end_of_validation(1000.0)
    assert module.best_perplexity == math.inf


def test_a_test_scores_the_weights_of_the_best_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of()
    losses = iter([3.0, 2.0, 4.0])
    end = module.end_of_validation
    trace = Trace()
    monkeypatch.setattr(module, "end_of_validation", lambda loss: end(next(losses)))
    fit(module, [text(6)], epochs=3, callbacks=(trace,))
    trainer_of().test(module, BatchLoader(Given([text(6)])), verbose=False)
    assert torch.equal(flat(module.network), trace.weights[1])
    assert module.best_perplexity == pytest.approx(math.exp(2.0))
