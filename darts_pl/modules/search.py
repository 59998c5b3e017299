"""The search: alphas on the valid split and weights on the train split, turn by turn (algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from darts_pl.bilevel import Hypergradient, InnerStep, evaluate, gradients, identity_mean
from darts_pl.genotype import Genotype
from darts_pl.modules.learning_rate import scaled_lr
from darts_pl.modules.running import DivergedError, FiniteWatch, Mean, load_metric_states, metric_states, reset_metrics
from darts_pl.modules.scores import Scores
from darts_pl.selection import SelectionRule
from darts_pl.selection.magnitude import magnitude
from darts_pl.spaces import Outcome, Supernet, slowness

SKIP = "skip_connect"
#: Steps between two looks at whether all was finite, for which the host waits for the device.
CHECK_EVERY = 50


@dataclass(frozen=True)
class WeightRecipe:
    """SGD for the weights, with a cosine schedule per epoch from `lr` to `lr_min`.

    The last three are for sequences [T, B] (paper section A.1.2 and the authors' code).

    Args:
        clip_virtual: whether the virtual step and v are clipped by `grad_clip` as well.
        bptt: T of a full batch: one of other length is learned from with lr * T / bptt, which is also
            xi of its virtual step; None = every batch with lr.
        slowness: weight of the mean squared difference of successive outputs in the loss that the
            weights descend (not in any loss of the alpha gradient).
    """

    lr: float
    lr_min: float
    momentum: float
    weight_decay: float
    grad_clip: float | None
    epochs: int
    clip_virtual: bool = False
    bptt: int | None = None
    slowness: float = 0.0


@dataclass(frozen=True)
class AlphaRecipe:
    """Adam for the alphas."""

    lr: float
    betas: tuple[float, float]
    weight_decay: float


class SearchModule(pl.LightningModule):
    """Bilevel search over a supernet, in manual optimization.

    A batch is ``{"train": ..., "valid": ...}``. Each training step moves the alphas against the
    validation loss, then the weights against the training loss at the new alphas. Only weight
    steps count in `trainer.global_step`, which is therefore the number of batches.

    What a supernet carries from batch to batch (`Outcome.carry`) is kept for each stream, from the
    start of an epoch to its end, and stands in the checkpoint.

    Args:
        supernet: the search network.
        order: how the alpha gradient is computed, one of `darts_pl.bilevel.ORDERS`.
        weights: the weight optimizer.
        alphas: the alpha optimizer.
        radius: of the central difference in second order.
        scores: makes the metrics of a split.
        select: derives the genotype that is logged each epoch.
    """

    def __init__(
        self,
        supernet: Supernet,
        *,
        order: Hypergradient,
        weights: WeightRecipe,
        alphas: AlphaRecipe,
        radius: float,
        scores: Callable[[], Scores],
        select: SelectionRule = magnitude,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.supernet = supernet
        self.order = order
        self.weight_recipe = weights
        self.alpha_recipe = alphas
        self.radius = radius
        self.select = select
        self.train_metrics = scores()
        self.valid_metrics = scores()
        self.ratio = Mean()
        self.finite = FiniteWatch(
            ("train loss", "valid loss", "gradient norm"), "lower search.weights.lr or search.alphas.lr"
        )
        #: by stream ("train" and "valid" of a step, "eval" of a validation) what the next batch starts from
        self.carried: dict[str, Any] = {}

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        recipe = self.weight_recipe
        weights = torch.optim.SGD(
            self.supernet.weights().values(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        alphas = torch.optim.Adam(
            self.supernet.alphas.values(),
            self.alpha_recipe.lr,
            betas=self.alpha_recipe.betas,
            weight_decay=self.alpha_recipe.weight_decay,
        )
        return [weights, alphas], [CosineAnnealingLR(weights, T_max=recipe.epochs, eta_min=recipe.lr_min)]

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        train, valid = (
            self.supernet.continued(batch[stream], self.carried.get(stream)) for stream in ("train", "valid")
        )
        bptt = self.weight_recipe.bptt
        with scaled_lr(self._plain_optimizers()[0], 1.0 if bptt is None else len(train[0]) / bptt):
            seen = self._alpha_step(train, valid)
            outcome, norm = self._weight_step(train)
        if outcome.carry is not None:
            self.carried |= {"train": outcome.carry, "valid": seen.carry}
        self.train_metrics.observe(outcome, train)
        self.log("loss", outcome.loss, on_step=True, on_epoch=False, prog_bar=True)
        self.finite.observe(outcome.loss, seen.loss, norm)
        if (batch_idx + 1) % CHECK_EVERY == 0:
            self.finite.check(self.current_epoch)

    def _alpha_step(self, train: Any, valid: Any) -> Outcome:
        """Move the alphas; returns what the pass on the valid batch saw."""
        _, optimizer = self._plain_optimizers()
        result = self.order(self.supernet, train, valid, self.inner_step(), self.mean)
        for name, gradient in result.gradient.items():
            self.supernet.alphas[name].grad = gradient
        optimizer.step()
        optimizer.zero_grad()
        if result.ratio is not None:
            self.ratio.update(result.ratio)
        return result.valid

    def _weight_step(self, train: Any) -> tuple[Outcome, Tensor]:
        """Move the weights; returns what the pass saw, and the norm of the gradient before clipping."""
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        optimizer = optimizers[0]
        weights = self.supernet.weights()
        alphas = {f"alphas.{name}": alpha.detach() for name, alpha in self.supernet.alphas.items()}
        outcome = evaluate(self.supernet, train, alphas)
        loss = outcome.loss
        if self.weight_recipe.slowness:
            loss = loss + self.weight_recipe.slowness * slowness(outcome.outputs)
        averaged = self.mean(gradients(loss, list(weights.values())))
        for weight, gradient in zip(weights.values(), averaged, strict=True):
            weight.grad = gradient
        # Not clipped: the norm is what clipping by an infinite norm returns.
        clip = self.weight_recipe.grad_clip
        norm = nn.utils.clip_grad_norm_(weights.values(), math.inf if clip is None else clip)
        optimizer.step()
        optimizer.zero_grad()
        return Outcome(outcome.loss.detach(), outcome.outputs.detach(), outcome.carry), norm

    def _plain_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Of weights and alphas; steps taken with these do not count in `trainer.global_step`."""
        weights, alphas = self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]  # with two it is a list
        return weights, alphas

    def inner_step(self) -> InnerStep:
        """What the weight optimizer would do next, for the virtual step of the second order."""
        optimizer, _ = self._plain_optimizers()
        group = optimizer.param_groups[0]
        buffers = [optimizer.state[weight].get("momentum_buffer") for weight in group["params"]]
        return InnerStep(
            lr=group["lr"],
            momentum=group["momentum"],
            weight_decay=group["weight_decay"],
            buffers=None if any(buffer is None for buffer in buffers) else buffers,
            clip=self.weight_recipe.grad_clip if self.weight_recipe.clip_virtual else None,
            radius=self.radius,
        )

    def mean(self, tensors: list[Tensor]) -> list[Tensor]:
        """The mean over ranks, in one flat buffer."""
        if self.trainer.world_size == 1:
            return identity_mean(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        flat = self.trainer.strategy.reduce(flat, reduce_op="mean")
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def on_validation_epoch_start(self) -> None:
        self.carried.pop("eval", None)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        outcome = self.supernet.loss(self.supernet.continued(batch, self.carried.get("eval")))
        if outcome.carry is not None:
            self.carried["eval"] = outcome.carry
        size = self.valid_metrics.observe(outcome, batch)
        for name, metric in self.valid_metrics.metrics():
            self.log(f"search/valid_{name}", metric, on_step=False, on_epoch=True, batch_size=size)

    def on_train_epoch_start(self) -> None:
        reset_metrics(self._running())
        self.finite.start()

    def on_train_epoch_end(self) -> None:
        self._refuse_divergence()
        # Here, not in each step: an epoch that is continued after its last batch takes none.
        for name, metric in self.train_metrics.metrics():
            self.log(f"search/train_{name}", metric)
        if self.ratio.update_called:
            self.log("search/second_to_first", self.ratio)
        for name, optimizer in zip(("lr", "lr_alphas"), self._plain_optimizers(), strict=True):
            self.log(f"search/{name}", optimizer.param_groups[0]["lr"])
        scheduler = self.lr_schedulers()
        assert isinstance(scheduler, CosineAnnealingLR)
        scheduler.step()
        for name, weights in self.supernet.mixing_weights().items():
            self.log(f"search/entropy_{name}", entropy(weights.detach()))
        if self.supernet.space.kind == "cnn":
            self.log("search/skip_connections", float(skip_connections(self.genotype())))
        self.carried.clear()  # the next epoch starts at the beginning of its streams

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._refuse_divergence()

    def rank_state(self) -> dict[str, Any]:
        """What is this process's own: running statistics, what is carried, metrics of the epoch so far."""
        return {
            "buffers": dict(self.supernet.named_buffers()),
            "carried": {stream: carry for stream, carry in self.carried.items() if stream != "eval"},
            "metrics": metric_states(self._running()),
        }

    def load_rank_state(self, state: dict[str, Any]) -> None:
        """Takes what `rank_state` gave."""
        for name, buffer in self.supernet.named_buffers():
            buffer.copy_(state["buffers"][name])
        self.carried = dict(state["carried"])
        load_metric_states(self._running(), state["metrics"])
        self.finite.start(dict(self.train_metrics.metrics())["loss"].update_count)

    def _refuse_divergence(self) -> None:
        """Stop before a checkpoint or a genotype is made of numbers that are not finite."""
        self.finite.check(self.current_epoch)
        if not all(bool(alpha.isfinite().all()) for alpha in self.supernet.alphas.values()):
            epoch = self.current_epoch + 1
            raise DivergedError(f"diverged in epoch {epoch}: the alphas are not finite\n{self.finite.remedy}")

    def _running(self) -> dict[str, nn.Module]:
        return {"train": self.train_metrics, "ratio": self.ratio}

    def genotype(self) -> Genotype:
        """What the selection rule derives now."""
        return self.select(self.supernet)


def entropy(weights: Tensor) -> Tensor:
    """Mean over the edges of the entropy of their mixing weights [edges, candidates], in nats."""
    return torch.special.entr(weights).sum(-1).mean()


def skip_connections(genotype: Genotype) -> int:
    """Number of skip connections in all cells of a genotype."""
    return sum(pair.operation == SKIP for cell in genotype.cells.values() for pair in cell.pairs)
