"""Training a language model from scratch (paper section A.2.2; Merity et al., 2017)."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from darts_pl.bilevel import scaled_lr
from darts_pl.modules.running import DivergedError, load_metric_states, metric_states, reset_metrics
from darts_pl.modules.scores import LanguageScores
from darts_pl.spaces import LanguageModel, Outcome, slowness, word_loss

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LanguageRecipe:
    """SGD, and when it becomes averaged SGD. The Trainer clips the gradient.

    Args:
        lr: of a sequence of `bptt` words; the rate of another length is lr * length / bptt.
        weight_decay: L2.
        bptt: usual length of a sequence.
        slowness: weight of the mean squared difference of successive outputs (TAR, beta).
        activation: weight of the mean squared output after dropout (AR, alpha).
        patience_epochs: see `worse_than_before`.
        rollbacks: how often a non-finite loss may send the training back to the best weights.
    """

    lr: float
    weight_decay: float
    bptt: int
    slowness: float
    activation: float
    patience_epochs: int
    rollbacks: int


def worse_than_before(losses: Sequence[float], loss: float, patience_epochs: int) -> bool:
    """The non-monotone trigger: whether the newest validation loss is worse than the best of all
    epochs up to n = `patience_epochs` before the last, ``v_t > min(v_0 .. v_{t-n-1})``.

    Args:
        losses: v_0 .. v_{t-1}.
        loss: v_t.
        patience_epochs: number of last epochs that are not compared; False while there are no earlier ones.
    """
    return len(losses) > patience_epochs and loss > min(losses[: len(losses) - patience_epochs])


class LanguageModule(pl.LightningModule):
    """Training of a `LanguageModel`, in automatic optimization.

    A batch is ``(tokens, targets)``, both [T, B]; the hidden state is carried from batch to batch
    through an epoch. When the validation loss stops falling, SGD goes on with a running average of
    its weights, which is what is validated from then on. The test is taken with the weights of the
    best validation loss; a non-finite loss, on one rank or more, sends the training back to them.

    A checkpoint holds the weights of the last step ("state_dict") and, under "language", those of
    the best validation loss ("best") beside the validation losses and the number of roll-backs.

    Args:
        network: the language model.
        recipe: how it is trained.
    """

    def __init__(self, network: LanguageModel, recipe: LanguageRecipe) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.train_scores, self.valid_scores, self.test_scores = LanguageScores(), LanguageScores(), LanguageScores()
        self.averaged: AveragedModel | None = None
        #: validation losses of the epochs so far
        self.losses: list[float] = []
        #: weights of the best validation loss; the initial ones before the first
        self.best = _copy(network)
        self.rollbacks = 0
        self.hidden: Tensor | None = None
        self._eval_hidden: Tensor | None = None
        self._length = recipe.bptt
        self._rolled_back = False

    def configure_optimizers(self) -> torch.optim.Optimizer:
        # Lightning refuses to clip the gradients of a fused optimizer under mixed precision. Both forms compute the
        # same numbers.
        fused = not isinstance(self.trainer.precision_plugin, MixedPrecision)
        return torch.optim.SGD(
            self.network.parameters(),
            self.recipe.lr,
            weight_decay=self.recipe.weight_decay,
            fused=fused,
            foreach=not fused,
        )

    @property
    def evaluated(self) -> LanguageModel:
        """The network that a validation scores: the averaged one once there is one."""
        network = self.network if self.averaged is None else self.averaged.module
        assert isinstance(network, LanguageModel)
        return network

    def on_train_epoch_start(self) -> None:
        reset_metrics(self._running())

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._length = len(batch[0])

    @property
    def best_perplexity(self) -> float:
        """The best validation perplexity so far, infinite before the first."""
        return torch.tensor(min(self.losses, default=math.inf), dtype=torch.float64).exp().item()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        tokens, targets = batch
        sequence = self.network(tokens, None if self.hidden is None else self.hidden.to(tokens.device))
        loss = word_loss(sequence.logits, targets)
        self._rolled_back = self._on_any_rank(~loss.isfinite())
        if self._rolled_back:
            self.roll_back("training")
            # Under several ranks a step cannot be left out: the gradients of this one are averaged, then dropped.
            return 0.0 * torch.stack([weight.sum() for weight in self.network.parameters()]).sum()
        self.hidden = sequence.outputs[-1].detach()
        self.train_scores.observe(Outcome(loss.detach(), loss.detach()), batch)
        self.log("loss", loss.detach(), on_step=True, on_epoch=False, prog_bar=True)
        if self.recipe.slowness:
            loss = loss + self.recipe.slowness * slowness(sequence.outputs)
        if self.recipe.activation:
            loss = loss + self.recipe.activation * sequence.dropped.pow(2).mean()
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self._rolled_back:
            optimizer.zero_grad(set_to_none=True)  # without a gradient SGD leaves a weight alone, decay included

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        with scaled_lr(optimizer, self._length / self.recipe.bptt):
            optimizer.step(closure=optimizer_closure)
        if self.averaged is not None and not self._rolled_back:
            self.averaged.update_parameters(self.network)

    def on_train_epoch_end(self) -> None:
        self.hidden = None  # the next epoch starts at the beginning of the text
        for name, metric in self.train_scores.metrics():
            if metric.update_called:
                self.log(f"retrain/train_{name}", metric)
        self.log("retrain/lr", self.recipe.lr)
        self.log("retrain/averaging", float(self.averaged is not None))
        self.log("retrain/rollbacks", float(self.rollbacks))

    def on_validation_epoch_start(self) -> None:
        self._eval_hidden = None

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._observe("retrain/valid", self.valid_scores, self._evaluate(self.evaluated, batch), batch)

    def on_validation_epoch_end(self) -> None:
        self.end_of_validation(float(dict(self.valid_scores.metrics())["loss"].compute()))

    def end_of_validation(self, loss: float) -> None:
        """Keep the best weights, and start averaging when the losses stop falling."""
        if not math.isfinite(loss):
            self.roll_back("validation")
            return
        if loss < min(self.losses, default=math.inf):
            self.best = _copy(self.evaluated)
        if self.averaged is None and worse_than_before(self.losses, loss, self.recipe.patience_epochs):
            self._start_averaging()
        self.losses.append(loss)

    def roll_back(self, which: str) -> None:
        """Take the best weights and the zero hidden state; averaging starts again.

        Raises:
            DivergedError: if this happens more often than the recipe allows.
        """
        if self.rollbacks >= self.recipe.rollbacks:
            raise DivergedError(
                f"the {which} loss became non-finite in epoch {self.current_epoch + 1}, after {self.rollbacks} "
                f"roll-backs\nlower train.lr={self.recipe.lr} or allow more: train.rollbacks={self.recipe.rollbacks}"
            )
        self.rollbacks += 1
        _log.warning(
            "the %s loss became non-finite in epoch %d: back to the best weights (roll-back %d of %d)",
            *(which, self.current_epoch + 1, self.rollbacks, self.recipe.rollbacks),
        )
        self.network.load_state_dict(self.best)
        self.hidden = None
        if self.averaged is not None:
            self._start_averaging()

    def on_test_start(self) -> None:
        self.network.load_state_dict(self.best)

    def on_test_epoch_start(self) -> None:
        self._eval_hidden = None

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        loss = self._evaluate(self.network, batch)
        self._observe("test/", self.test_scores, loss, batch)
        return {"loss": loss}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["language"] = {
            "losses": list(self.losses),
            "best": self.best,
            "rollbacks": self.rollbacks,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint["language"]
        self.losses, self.best, self.rollbacks = list(saved["losses"]), saved["best"], saved["rollbacks"]
        if any(name.startswith("averaged.") for name in checkpoint["state_dict"]):
            self._start_averaging()

    def rank_state(self) -> dict[str, Any]:
        """What is this process's own: the hidden state, and metrics of the epoch so far."""
        return {"hidden": self.hidden, "metrics": metric_states(self._running())}

    def load_rank_state(self, state: dict[str, Any]) -> None:
        """Takes what `rank_state` gave."""
        self.hidden = state["hidden"]
        load_metric_states(self._running(), state["metrics"])

    def _running(self) -> dict[str, nn.Module]:
        return {"train": self.train_scores}

    def _on_any_rank(self, happened: Tensor) -> bool:
        """Whether it happened on one rank or more: all roll back together or none does."""
        return bool(self.trainer.strategy.reduce(happened.float(), reduce_op="max"))

    def _start_averaging(self) -> None:
        self.averaged = AveragedModel(self.network)
        self.averaged.requires_grad_(False)

    def _evaluate(self, network: LanguageModel, batch: tuple[Tensor, Tensor]) -> Tensor:
        tokens, targets = batch
        sequence = network(tokens, self._eval_hidden)
        self._eval_hidden = sequence.outputs[-1]
        return word_loss(sequence.logits, targets)

    def _observe(self, prefix: str, scores: LanguageScores, loss: Tensor, batch: tuple[Tensor, Tensor]) -> None:
        size = scores.observe(Outcome(loss, loss), batch)
        name_of = prefix + ("" if prefix.endswith("/") else "_")
        for name, metric in scores.metrics():
            self.log(name_of + name, metric, on_step=False, on_epoch=True, batch_size=size)


def _copy(network: LanguageModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
