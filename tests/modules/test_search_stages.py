"""A search through the Trainer: stages, warm-up, resumed runs, and what hears of the epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from darts_pl.bilevel import AlphaRecipe, Draws, Perturbation, Stage, Stages, WeightRecipe, first_order
from darts_pl.callbacks import RankStates
from darts_pl.data import BatchLoader
from darts_pl.modules import ClassificationScores, SearchModule, StageRun
from darts_pl.runs import quiet_lightning
from darts_pl.spaces import CnnSupernet, Parts, build_space
from tests.gumbel import Gumbel

CANDIDATES = ("none", "skip_connect", "sep_conv_3x3")
STEPS = 3


class Cooling(Gumbel):
    """Divides the alphas by what is left of the stage."""

    def __init__(self, one_path: bool = False) -> None:
        super().__init__(one_path)
        self.told: list[tuple[int, int]] = []
        self.temperature = 1.0

    def expected(self, alphas: torch.Tensor, live: torch.Tensor | None) -> torch.Tensor:
        return super().expected(alphas / self.temperature, live)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.told.append((epoch, epochs))
        self.temperature = 1.0 - 0.5 * epoch / epochs


class Growing(Perturbation):
    """Scales the mixing weights by the epoch."""

    def __init__(self) -> None:
        self.factor = 1.0

    def __call__(self, supernet: Any, mixing: Any, train: Any, generator: torch.Generator, mean: Any) -> Any:
        return {
            name: values._replace(weights=self.factor * values.weights + 0.1 * torch.rand((), generator=generator))
            for name, values in mixing.items()
        }

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.factor = 1.0 + epoch / epochs


class TwoStages(Stages):
    """The second stage keeps the two strongest candidates and has more channels.

    Args:
        fresh_lr: of the second stage.
        carried: whether the second stage takes the alphas over.
    """

    def __init__(self, fresh_lr: bool = True, carried: bool = False) -> None:
        self.fresh_lr, self.carried = fresh_lr, carried

    def plan(self, epochs: int) -> tuple[Stage, ...]:
        return Stage(2, 1), Stage(2, 1, fresh_lr=self.fresh_lr)

    def build(self, index: int, facts: Any, factory: Any) -> Any:
        supernet = factory(init_channels=2 + 2 * index)
        for name, fact in (facts or {}).items():
            supernet.keep(name, fact["live"])
        return supernet

    def end(self, index: int, supernet: Any) -> Any:
        return {
            name: {"live": [[weight > min(row) for weight in row] for row in rows], "weights": rows}
            for name, rows in ((name, mixing.weights.tolist()) for name, mixing in supernet.mixing().items())
        }

    def carry(self, index: int, old: Any, new: Any, old_optimizers: Any, new_optimizers: Any) -> None:
        if self.carried:
            new.load_alphas(old.alphas)
            new_optimizers[1].load_state_dict(old_optimizers[1].state_dict())


def factory(**changes: Any) -> CnnSupernet:
    sizes = {"init_channels": 2, "layers": 3, "classes": 3, "alpha_scale": 0.1, **changes}
    return CnnSupernet(build_space("cnn", CANDIDATES, 2), **sizes, parts=Parts(relaxation=Cooling())).double()


def module_of(stages: Stages | None = None) -> SearchModule:
    torch.manual_seed(3)
    run = StageRun(stages or TwoStages(), factory, 4, 5)
    return SearchModule(
        run.first(),
        order=first_order,
        weights=WeightRecipe(0.1, 0.02, 0.9, 1e-3, 5.0, 4),
        alphas=AlphaRecipe(0.05, (0.5, 0.999), 1e-3),
        radius=None,
        scores=lambda: ClassificationScores(3),
        perturbation=Growing(),
        stages=run,
        seed=5,
    )


class Given:
    """A batch of every epoch and place."""

    def __len__(self) -> int:
        return STEPS

    def __call__(self, epoch: int, index: int, /) -> Any:
        generator = torch.Generator().manual_seed(10 * epoch + index)
        return {
            split: (
                torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64),
                torch.randint(3, (4,), generator=generator),
            )
            for split in ("train", "valid")
        }


class Validation(Given):
    """The valid split, in order."""

    def __call__(self, epoch: int, index: int, /) -> Any:
        return super().__call__(0, index)["valid"]


class Watch(Checkpoint):
    """What was so after every step; leaves checkpoints. Lightning calls a `Checkpoint` last.

    Args:
        folder: of the checkpoints; None = none.
        at: (epoch, batch) after which one is written; the batch "end" is the end of the epoch.
    """

    def __init__(self, folder: Path | None = None, at: tuple[tuple[int, int | str], ...] = ()) -> None:
        self.folder, self.at = folder, at
        self.rates: list[float] = []
        self.alphas: list[dict[str, torch.Tensor]] = []
        self.metrics: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.alphas.append({name: a.detach().clone() for name, a in pl_module.supernet.alphas.items()})
        self._save(trainer, batch_idx)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.metrics.append({name: float(value) for name, value in trainer.callback_metrics.items()})
        self._save(trainer, "end")

    def _save(self, trainer: pl.Trainer, place: int | str) -> None:
        if (trainer.current_epoch, place) in self.at:
            trainer.save_checkpoint(f"{self.folder}/{trainer.current_epoch}_{place}.ckpt")


def fit(module: SearchModule, *callbacks: Any, **options: Any) -> pl.Trainer:
    quiet_lightning()
    trainer = pl.Trainer(
        accelerator="cpu",
        precision="64-true",
        max_epochs=4,
        callbacks=[RankStates(), *callbacks],
        logger=False,
        enable_checkpointing=any(isinstance(one, Checkpoint) for one in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, BatchLoader(Given()), BatchLoader(Validation()), **options)
    return trainer


def assert_bitwise(found: Any, expected: Any) -> None:
    ours, theirs = found.supernet.state_dict(), expected.supernet.state_dict()
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        assert torch.equal(ours[name], values), name


#: Within a warm-up and after it, at the end of an epoch and of both stages.
PLACES = ((0, 1), (0, "end"), (1, 0), (1, "end"), (2, 0), (3, 1), (3, "end"))
FEW = PLACES[3:5]


@pytest.mark.parametrize(
    ("stages", "places"),
    [
        pytest.param({}, FEW, id="started fresh"),
        pytest.param({}, PLACES, id="started fresh, every place", marks=pytest.mark.slow),
        pytest.param({"fresh_lr": False}, ((3, 1),), id="learning rate goes on"),
        pytest.param({"carried": True}, FEW, id="alphas taken over"),
    ],
)
def test_a_search_of_two_stages_that_is_resumed_anywhere_is_bitwise_one_that_was_never_stopped(
    tmp_path: Path, stages: dict[str, Any], places: tuple[tuple[int, int | str], ...]
) -> None:
    whole = module_of(TwoStages(**stages))
    fit(whole, Watch(tmp_path, places))
    assert whole.supernet.classifier.in_features == 4 * 4 * 2
    for epoch, batch in places:
        continued = module_of(TwoStages(**stages))
        fit(continued, ckpt_path=tmp_path / f"{epoch}_{batch}.ckpt", weights_only=True)
        assert_bitwise(continued, whole)
        assert continued.stages.state_dict() == whole.stages.state_dict()
        assert continued.supernet.arch.relaxation.temperature == whole.supernet.arch.relaxation.temperature
        assert continued.genotype() == whole.genotype()


def test_alphas_stay_in_each_warm_up_and_the_second_stage_starts_with_its_own(tmp_path: Path) -> None:
    module, watch = module_of(), Watch()
    start = module.supernet.alphas["normal"].detach().clone()
    fit(module, watch)
    seen = [alphas["normal"] for alphas in watch.alphas]
    assert all(torch.equal(alphas, start) for alphas in seen[:STEPS])
    assert not torch.equal(seen[STEPS], start)
    torch.manual_seed(Draws(5, 1).seed("build"))
    second = factory(init_channels=4).alphas["normal"].detach()
    assert all(torch.equal(alphas, second) for alphas in seen[2 * STEPS : 3 * STEPS])
    assert not torch.equal(seen[3 * STEPS], second)
    assert [metrics["search/stage"] for metrics in watch.metrics] == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("fresh", "expected"),
    [
        # lr_min + (lr - lr_min) (1 + cos(pi epoch / epochs)) / 2
        (True, [0.1, 0.06, 0.1, 0.06]),
        (False, [0.1, 0.02 + 0.04 * (1 + 0.5**0.5), 0.06, 0.02 + 0.04 * (1 - 0.5**0.5)]),
    ],
)
def test_the_learning_rate_starts_again_or_goes_on(fresh: bool, expected: list[float]) -> None:
    watch = Watch()
    fit(module_of(TwoStages(fresh_lr=fresh)), watch)
    assert watch.rates[::STEPS] == pytest.approx(expected, rel=1e-9)
    assert watch.rates[2::STEPS] == pytest.approx(expected, rel=1e-9)


def test_a_part_that_depends_on_the_epoch_hears_it_before_the_first_step_of_a_resumed_search(tmp_path: Path) -> None:
    whole = module_of()
    fit(whole, Watch(tmp_path, ((1, 1), (3, 0))))
    assert whole.supernet.arch.relaxation.temperature == 0.75
    for epoch, batch in ((1, 1), (3, 0)):
        continued = module_of()
        told: list[Any] = []

        class First(pl.Callback):
            def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any, told: list[Any] = told) -> None:
                told.append((pl_module.supernet.arch.relaxation.told[-1], pl_module.perturbation.factor))

        fit(continued, First(), ckpt_path=tmp_path / f"{epoch}_{batch}.ckpt", weights_only=True)
        assert told[0] == ((1, 2), 1.5)  # epoch 1 of 2 of its stage
