"""The search: alphas on the valid split and weights on the train split, in alternation (algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from darts_pl.bilevel import (
    AlphaRecipe,
    Draws,
    Hypergradient,
    Observer,
    Perturbation,
    Regulariser,
    SearchStep,
    WeightRecipe,
    device_of,
    identity_mean,
)
from darts_pl.genotype import Genotype
from darts_pl.modules.running import DivergedError, FiniteWatch, Mean, load_metric_states, metric_states, reset_metrics
from darts_pl.modules.schedule import cosine_of, take_over
from darts_pl.modules.scores import Scores
from darts_pl.modules.stage_run import StageRun
from darts_pl.modules.validation import validated
from darts_pl.selection import preview_magnitude
from darts_pl.spaces import Supernet, space_of

#: Steps between two looks at whether all was finite, for which the host waits for the device.
CHECK_EVERY = 50
#: Key of a checkpoint: which stage its supernet is of.
STAGES_KEY = "stages"


class SearchModule(pl.LightningModule):
    """Bilevel search over a supernet, in manual optimization.

    A batch is ``{"train": ..., "valid": ...}``. Each training step moves the alphas against the
    validation loss, then the weights against the training loss at the new alphas. Only weight
    steps count in `trainer.global_step`, which is therefore the number of batches.

    What a supernet carries from batch to batch (`Outcome.carry`) is kept for each stream, from the
    start of an epoch to its end, and is part of the checkpoint.

    Args:
        supernet: the search network of the first stage.
        order: how the alpha gradient is computed, one of `darts_pl.bilevel.ORDERS`.
        weights: the weight optimizer.
        alphas: the optimizer of the architecture parameters.
        radius: of the central difference in second order.
        scores: makes the metrics of a split.
        preview: derives the genotype that is logged each epoch; cheap, and without trials.
        regulariser: added to the loss of the architecture parameters.
        perturbation: of the mixing weights in the weight step.
        observers: what sees every step.
        stages: the stages of the search; None = one.
        seed: of everything that a step draws.
        batch_scores: whether a validation uses the statistics of each batch in BatchNorm, as the paper's section
            A.1.1 says, on batches that are each whole on one rank (`MixedOrder`), instead of the running ones.
    """

    def __init__(
        self,
        supernet: Supernet,
        *,
        order: Hypergradient,
        weights: WeightRecipe,
        alphas: AlphaRecipe,
        radius: float | None,
        scores: Callable[[], Scores],
        preview: Callable[[Supernet], Genotype] = preview_magnitude,
        regulariser: Regulariser | None = None,
        perturbation: Perturbation | None = None,
        observers: Sequence[Observer] = (),
        stages: StageRun | None = None,
        seed: int = 0,
        batch_scores: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.supernet = supernet
        self.order = order
        self.weight_recipe = weights
        self.alpha_recipe = alphas
        self.radius = radius
        self.preview = preview
        self.regulariser = regulariser
        self.perturbation = perturbation
        self.observers = tuple(observers)
        self.stages = StageRun.single(supernet, weights.epochs) if stages is None else stages
        self.seed = seed
        self.batch_scores = batch_scores
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
        weights = recipe.optimizer(self.supernet)
        schedule = cosine_of(recipe, weights, self.stages.schedule_epochs)
        return [weights, self.alpha_recipe.optimizer(self.supernet)], [schedule]

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        train, valid = (
            self.supernet.with_carry(batch[stream], self.carried.get(stream)) for stream in ("train", "valid")
        )
        place = self.stages.place(self.current_epoch)
        result = self.step()(train, valid, self.global_step, place.epoch >= place.stage.warmup_epochs)
        seen = result.train if result.valid is None else result.valid
        if result.train.carry is not None:
            self.carried["train"] = result.train.carry
            if result.valid is not None:
                self.carried["valid"] = result.valid.carry
        if result.ratio is not None:
            self.ratio.update(result.ratio)
        self.train_metrics.observe(result.train, train)
        self.log("loss", result.train.loss, on_step=True, on_epoch=False, prog_bar=True)
        self.finite.observe(result.train.loss, seen.loss, result.norm)
        if (batch_idx + 1) % CHECK_EVERY == 0:
            self.finite.check(self.current_epoch)

    def step(self) -> SearchStep:
        """One step of the search as it stands now."""
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        weights, alphas = self._plain_optimizers()
        return SearchStep(
            self.supernet,
            order=self.order,
            weights=weights,
            alphas=alphas,
            grad_clip=self.weight_recipe.grad_clip,
            alpha_clip=self.alpha_recipe.grad_clip,
            radius=self.radius,
            regulariser=self.regulariser,
            perturbation=self.perturbation,
            observers=self.observers,
            mean=self.mean,
            seed=self.seed,
            step_weights=optimizers[0].step,  # this one counts in `trainer.global_step`
        )

    def _plain_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Of weights and alphas; steps taken with these do not count in `trainer.global_step`."""
        optimizers: Any = self.optimizers(use_pl_optimizer=False)  # with two it is a list
        weights, alphas = optimizers
        return weights, alphas

    def alpha_state(self) -> dict[str, Any]:
        """The state of the optimizer of the architecture parameters."""
        return self._plain_optimizers()[1].state_dict()

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
        if not batch[1].numel():  # this rank has one batch less than others
            return
        # Whole batches are dealt out to the ranks: this is the number among those of all.
        number = batch_idx * self.trainer.world_size + self.trainer.global_rank if self.batch_scores else batch_idx
        draws = Draws(self.seed, self.current_epoch, number)
        carried = self.supernet.with_carry(batch, self.carried.get("eval"))
        outcome = validated(self.supernet, carried, draws, batch_scores=self.batch_scores)
        if outcome.carry is not None:
            self.carried["eval"] = outcome.carry
        size = self.valid_metrics.observe(outcome, batch)
        for name, metric in self.valid_metrics.metrics():
            self.log(f"search/valid_{name}", metric, on_step=False, on_epoch=True, batch_size=size)

    def on_train_epoch_start(self) -> None:
        if self.stages.place(self.current_epoch).number > self.stages.index:
            self._next_stage()
        self._start_epoch(self.current_epoch)
        reset_metrics(self._running())
        self.finite.start()

    def _start_epoch(self, epoch: int) -> None:
        place = self.stages.place(epoch)
        self.supernet.start_epoch(place.epoch, place.stage.epochs)
        if self.perturbation is not None:
            self.perturbation.start_epoch(place.epoch, place.stage.epochs)

    def _next_stage(self) -> None:
        old, optimizers, schedule = self.supernet, self._plain_optimizers(), self.lr_schedulers()
        new = self.supernet = _like(self.stages.advance(old), old).train()
        self.trainer.strategy.setup_optimizers(self.trainer)
        fresh = self.stages.plan[self.stages.index].fresh_lr
        if not fresh:
            continued = self.lr_schedulers()
            assert isinstance(continued, CosineAnnealingLR)
            assert isinstance(schedule, CosineAnnealingLR)
            continued.load_state_dict(schedule.state_dict())
        take_over(optimizers[0], self._plain_optimizers()[0], rates=not fresh)
        self.stages.carry(old, new, optimizers, self._plain_optimizers())

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
        for name, mixing in self.supernet.mixing().items():
            self.log(f"search/entropy_{name}", self.supernet.arch.relaxation.entropy(mixing.weights.detach()))
            if mixing.edges is not None:
                self.log(f"search/largest_edge_weight_{name}", mixing.edges.detach().max())
        of_perturbation = {} if self.perturbation is None else self.perturbation.metrics()
        for name, value in (*self.supernet.metrics().items(), *of_perturbation.items()):
            self.log(f"search/{name}", value)
        self._log_genotype(self.genotype())
        if len(self.stages.plan) > 1:
            self.log("search/stage", float(self.stages.index))
        self.carried.clear()  # the next epoch starts at the beginning of its streams

    def _log_genotype(self, genotype: Genotype) -> None:
        """Log what a table knows of the present genotype; the search does not read these values."""
        space = space_of(genotype.kind)
        if space.skip is not None:
            self.log("search/skip_connections", float(count_operation(genotype, space.skip)))
        if space.table is not None and space.table.covers(genotype):
            for name, value in space.table.preview(genotype).items():
                self.log(name, value)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._refuse_divergence()
        checkpoint[STAGES_KEY] = self.stages.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get(STAGES_KEY)  # older checkpoints have one stage
        if state is not None and self.stages.differs(state):
            self.supernet = _like(self.stages.enter(state["index"], state["facts"]), self.supernet)
        # Lightning starts no epoch that is continued in its middle, that ends a stage, or that was the last.
        self._start_epoch(checkpoint["epoch"])

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
            if name in state["buffers"]:  # tables that are the same on all ranks are not in older checkpoints
                buffer.copy_(state["buffers"][name])
        self.carried = dict(state["carried"])
        load_metric_states(self._running(), state["metrics"])
        self.finite.start(dict(self.train_metrics.metrics())["loss"].update_count)

    def _refuse_divergence(self) -> None:
        """Raise before numbers that are not finite reach a checkpoint or a genotype."""
        self.finite.check(self.current_epoch)
        if not all(bool(value.isfinite().all()) for value in self.supernet.architecture().values()):
            epoch = self.current_epoch + 1
            raise DivergedError(f"diverged in epoch {epoch}: the alphas are not finite\n{self.finite.remedy}")

    def _running(self) -> dict[str, nn.Module]:
        return {"train": self.train_metrics, "ratio": self.ratio}

    def genotype(self) -> Genotype:
        """The genotype that `preview` derives now."""
        return self.preview(self.supernet)


def _like(new: Supernet, old: Supernet) -> Supernet:
    """A supernet on the device and of the dtype of another."""
    return new.to(device_of(old), next(iter(old.alphas.values())).dtype)


def count_operation(genotype: Genotype, operation: str) -> int:
    """Number of edges in all cells of a genotype that have that operation."""
    return sum(pair.operation == operation for cell in genotype.cells.values() for pair in cell.pairs)
