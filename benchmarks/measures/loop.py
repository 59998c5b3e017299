"""What the training loop costs beside the steps themselves: Lightning with a run's callbacks, and waiting for data."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measures.steps import Machine
from benchmarks.table import LIMITS, Result
from benchmarks.timing import alternate
from benchmarks.workloads import CLASSES, cnn_search, images

#: The loop's share is given for steps of this many seconds.
STEP = 0.1
#: Steps of the short and of the long run, whose difference is free of what happens once per run.
SHORT, LONG = 20, 120


def loop(machine: Machine) -> Iterator[Result]:
    """Seconds per step of the Lightning loop beyond those of the bare steps, for a step of 100 ms.

    Measured with a tiny supernet, whose steps take so little that the difference is seen.
    """
    limit = LIMITS["loop"]
    try:
        make = _runs(machine.device)
    except ModuleNotFoundError as error:
        yield Result(limit, left_out=f"this Python has no {error.name}")
        return
    with tempfile.TemporaryDirectory() as folder:
        timed = {}
        for name, run in make(Path(folder)).items():
            run(SHORT)
            timed[name] = lambda run=run: machine.clock(lambda: run(LONG)) - machine.clock(lambda: run(SHORT))
        times = alternate(timed, machine.rounds)
    steps = LONG - SHORT
    lightning, bare = (statistics.median(times[name]) / steps for name in ("lightning", "bare"))
    extra = statistics.median(
        (first - second) / steps for first, second in zip(times["lightning"], times["bare"], strict=True)
    )
    yield Result(limit, 1 + extra / STEP, 1e3 * lightning, 1e3 * bare, "ms")


def _runs(device: str) -> Callable[[Path], dict[str, Callable[[int], None]]]:
    """Given a folder, the same number of steps within Lightning and without."""
    import pytorch_lightning as pl

    from darts_pl.bilevel import ORDERS, AlphaRecipe, WeightRecipe
    from darts_pl.callbacks import LastCheckpoint, MetricsTable, RankStates, StopOnSignal
    from darts_pl.data import BatchLoader
    from darts_pl.modules import ClassificationScores, SearchModule
    from darts_pl.runs import quiet_lightning
    from darts_pl.spaces import CnnSupernet, build_space

    quiet_lightning()
    first = ORDERS.get("first")()
    recipe = WeightRecipe(0.025, 0.001, 0.9, 3e-4, 5.0, epochs=1)
    alphas = AlphaRecipe(3e-4, (0.5, 0.999), 1e-3)
    batch = {"train": images(4, 8, device), "valid": images(4, 8, device)}

    def supernet() -> CnnSupernet:
        space = build_space("cnn", ("none", "skip_connect"), 2)
        return CnnSupernet(space, init_channels=2, layers=1, classes=CLASSES).to(device).train()

    def runs(folder: Path) -> dict[str, Callable[[int], None]]:
        def lightning(count: int) -> None:
            module = SearchModule(
                supernet(),
                order=first,
                weights=recipe,
                alphas=alphas,
                radius=None,
                scores=lambda: ClassificationScores(CLASSES),
            )
            checkpoint = LastCheckpoint(folder / "last.ckpt")
            trainer = pl.Trainer(
                accelerator="gpu" if device == "cuda" else "cpu",
                devices=1,
                max_epochs=1,
                callbacks=[RankStates(), MetricsTable(folder / "metrics.csv"), checkpoint, StopOnSignal(checkpoint)],
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                log_every_n_steps=50,
                use_distributed_sampler=False,
                default_root_dir=folder,
            )
            trainer.fit(module, train_dataloaders=BatchLoader(_Same(batch, count)))

        def bare(count: int) -> None:
            from darts_pl.bilevel import SearchStep

            network = supernet()
            step = SearchStep(
                network, order=first, weights=recipe.optimizer(network), alphas=alphas.optimizer(network), grad_clip=5.0
            )
            for number in range(count):
                step(batch["train"], batch["valid"], number)

        return {"lightning": lightning, "bare": bare}

    return runs


class _Same:
    """One batch as the batches of an epoch."""

    def __init__(self, batch: Any, count: int) -> None:
        self.batch, self.count = batch, count

    def __len__(self) -> int:
        return self.count

    def __call__(self, epoch: int, index: int, /) -> Any:
        return self.batch


def waiting(machine: Machine) -> Iterator[Result]:
    """The fraction of a first-order step of the convolutional search that the next pair of batches takes."""
    limit = LIMITS["waiting"]
    try:
        load = _loader(machine.device)
    except ModuleNotFoundError as error:
        yield Result(limit, left_out=f"this Python has no {error.name}")
        return
    ours = cnn_search(machine.device, both=False).ours
    ours.step("first")
    next(load)
    times = alternate(
        {"data": machine.clock.of(lambda: next(load)), "step": machine.clock.of(lambda: ours.step("first"))},
        machine.rounds,
    )
    data, step = statistics.median(times["data"]), statistics.median(times["step"])
    yield Result(limit, data / step, 1e3 * data, 1e3 * step, "ms")


def _loader(device: str) -> Iterator[Any]:
    """Pairs of batches of 16 images of 32x32, cropped and mirrored, as a search reads them."""
    from benchmarks.measures.augmentation import augmented
    from darts_pl.data import AugmentedBatches, BatchLoader, PairedBatches

    halves = [augmented(16, device, stream) for stream in ("train", "valid")]
    assert all(isinstance(half, AugmentedBatches) for half in halves)
    return iter(BatchLoader(PairedBatches(*halves)))
