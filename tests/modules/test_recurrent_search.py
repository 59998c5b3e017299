"""What a recurrent search adds to the search module: carried states, scaled steps, clipping, slowness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from darts_pl.bilevel import AlphaGradient, AlphaRecipe, InnerStep, WeightRecipe, first_order
from darts_pl.callbacks import RankStates
from darts_pl.data import BatchLoader
from darts_pl.modules import LanguageScores, SearchModule
from darts_pl.runs import quiet_lightning
from darts_pl.spaces import RnnSupernet, build_space, slowness

CANDIDATES = ("none", "tanh", "relu", "sigmoid", "identity")
VOCABULARY = 13


def text(length: int, streams: int = 3) -> tuple[Tensor, Tensor]:
    tokens = torch.randint(VOCABULARY, (length + 1, streams))
    return tokens[:-1], tokens[1:]


class Given:
    """The same pairs in every epoch."""

    def __init__(self, lengths: list[int]) -> None:
        self.pairs = [{"train": text(length), "valid": text(length)} for length in lengths]

    def __len__(self) -> int:
        return len(self.pairs)

    def __call__(self, round: int, i: int, /) -> Any:
        return self.pairs[i]


class Spy:
    """First order, and what it was given and gave."""

    def __init__(self) -> None:
        self.inner: list[InnerStep] = []
        self.batches: list[tuple[Any, Any]] = []
        self.results: list[AlphaGradient] = []

    def __call__(self, supernet: Any, train: Any, valid: Any, inner: InnerStep, *others: Any) -> AlphaGradient:
        self.inner.append(inner)
        self.batches.append((train, valid))
        self.results.append(first_order(supernet, train, valid, inner, *others))
        return self.results[-1]


def module_of(spy: Any, epochs: int = 1, slowness: float = 0.0) -> SearchModule:
    space = build_space("rnn", CANDIDATES, 2)
    sizes: dict[str, Any] = {"vocabulary": VOCABULARY, "units": 4, "bptt": 6}
    supernet = RnnSupernet(space, **sizes, slowness=slowness, alpha_scale=1e-3).double()
    recipe: dict[str, Any] = {"lr": 2.0, "lr_min": 2.0, "momentum": 0.0, "weight_decay": 1e-2, "grad_clip": 0.25}
    return SearchModule(
        supernet,
        order=spy,
        weights=WeightRecipe(**recipe, epochs=epochs),
        alphas=AlphaRecipe(1e-2, (0.9, 0.999), 1e-3),
        radius=0.01,
        scores=LanguageScores,
    )


def fit(module: SearchModule, batches: Given, epochs: int = 1, *callbacks: Any, **options: Any) -> pl.Trainer:
    quiet_lightning()
    trainer = pl.Trainer(
        accelerator="cpu",
        precision="64-true",
        max_epochs=epochs,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    validation = BatchLoader(Validation())
    trainer.fit(module, BatchLoader(batches), validation, **options)
    return trainer


class Validation:
    """Two batches of one stream."""

    pairs = (text(5, 2), text(4, 2))

    def __len__(self) -> int:
        return 2

    def __call__(self, round: int, i: int, /) -> Any:
        return self.pairs[i]


def test_xi_and_the_step_are_scaled_by_the_length_and_the_virtual_step_is_clipped() -> None:
    spy = Spy()
    module = module_of(spy)
    trainer = fit(module, Given([6, 3, 2]))
    assert [inner.lr for inner in spy.inner] == pytest.approx([2.0, 1.0, 2.0 / 3])
    assert {inner.clip for inner in spy.inner} == {0.25}
    assert trainer.optimizers[0].param_groups[0]["lr"] == 2.0


def test_a_weight_step_is_clipped_sgd_on_loss_and_slowness_at_the_scaled_rate() -> None:
    spy, batches = Spy(), Given([3])
    module = module_of(spy, slowness=0.5)
    before = {name: weight.detach().clone() for name, weight in module.supernet.weights().items()}
    fit(module, batches)
    after = [weight.detach().clone() for weight in module.supernet.weights().values()]
    with torch.no_grad():  # back to the old weights, at the new alphas
        for name, weight in module.supernet.weights().items():
            weight.copy_(before[name])
    module.supernet.train()
    outcome = module.supernet.loss(batches(0, 0)["train"], module.supernet.mixing())
    gradient = torch.autograd.grad(
        outcome.loss + 0.5 * slowness(outcome.outputs), list(module.supernet.weights().values())
    )
    norm = torch.nn.utils.get_total_norm(gradient)
    for found, weight, part in zip(after, before.values(), gradient, strict=True):
        expected = weight - 1.0 * (part * min(1.0, 0.25 / (float(norm) + 1e-6)) + 1e-2 * weight)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_both_streams_are_carried_through_an_epoch_and_start_again_in_the_next() -> None:
    spy = Spy()
    fit(module_of(spy, epochs=2), Given([6, 6, 4]), 2)
    for i, (train, valid) in enumerate(spy.batches):
        if i in (0, 3):
            assert len(train) == len(valid) == 2
            continue
        assert torch.equal(valid[2], spy.results[i - 1].valid.carry)
        assert train[2].any()
        assert not train[2].requires_grad
        assert not torch.equal(train[2], valid[2])


def test_a_validation_carries_its_own_state_and_its_perplexity_is_that_of_the_whole_text() -> None:
    module = module_of(Spy())
    trainer = fit(module, Given([6, 6]))
    module.supernet.eval()
    tokens, targets = (torch.cat([pair[k] for pair in Validation.pairs]) for k in range(2))
    expected = module.supernet.loss((tokens, targets), module.supernet.mixing()).loss.detach()
    seen = trainer.callback_metrics
    assert float(seen["search/valid_loss"]) == pytest.approx(float(expected), rel=1e-6)  # metrics are float32
    assert float(seen["search/valid_perplexity"]) == pytest.approx(float(expected.exp()), rel=1e-6)


class SaveAfter(pl.Callback):
    """A checkpoint in the middle of an epoch."""

    def __init__(self, path: Path, batch: int) -> None:
        self.path, self.batch = path, batch

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (1, self.batch):
            trainer.save_checkpoint(self.path)


def test_a_search_continued_in_the_middle_of_an_epoch_knows_both_hidden_states(tmp_path: Path) -> None:
    batches = Given([6, 3, 6, 5])
    whole = module_of(first_order, epochs=2)
    fit(whole, batches, 2, RankStates(), SaveAfter(tmp_path / "mid.ckpt", 1))
    (saved,) = torch.load(tmp_path / "mid.ckpt", weights_only=True)["ranks"]
    assert set(saved["module"]["carried"]) == {"train", "valid"}
    continued = module_of(first_order, epochs=2)
    fit(continued, batches, 2, RankStates(), ckpt_path=tmp_path / "mid.ckpt", weights_only=True)
    found, expected = continued.supernet.state_dict(), whole.supernet.state_dict()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
