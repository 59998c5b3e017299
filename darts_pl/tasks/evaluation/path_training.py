"""Shared weights trained by single paths, drawn uniformly or by a strategy that learns between the epochs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from random import Random
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities import move_data_to_device

from darts_pl.bilevel import Draws, batch_statistics, scoring_pass
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.modules import PathModule, SearchModule
from darts_pl.problems import Problem, build_search, open_problem
from darts_pl.records.folder import Summary
from darts_pl.records.run_identity import settings_of
from darts_pl.selection import one_path
from darts_pl.selection.trials import Count
from darts_pl.strategies import Encoding, SharingStrategy, Strategy
from darts_pl.strategies.strategy import Reward
from darts_pl.tasks.declarations.sections import PARTS
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.recording import fit_and_record
from darts_pl.tasks.execution.searched import SHARED_WEIGHTS
from darts_pl.tasks.search import supernet_sizes


def refuse_stages(module: SearchModule, name: str) -> None:
    """Raise UserError unless the search has one stage: shared weights are those of one supernet.

    Args:
        module: of the search.
        name: of the stages.
    """
    if len(module.stages.plan) > 1:
        raise UserError(f"stages={name}: evaluator=shared_weights trains one supernet; use single")


class PathTraining:
    """The training of shared weights that a command describes.

    Args:
        context: of the command.
        epochs: of the training.
        encoding: what uniform paths are drawn from.

    Raises:
        UserError: if the supernet cannot be built, or data and settings do not fit each other.
    """

    def __init__(self, context: Context, epochs: int, encoding: Encoding) -> None:
        config = context.config
        if config.hardware.devices not in (1, "1"):
            raise UserError(
                f"hardware.devices={config.hardware.devices}: evaluator=shared_weights uses one; use devices=1"
            )
        self.epochs, self.encoding = epochs, encoding
        self.context = _of_training(context, epochs)
        pl.seed_everything(config.seed, workers=True, verbose=False)
        self.problem: Problem = open_problem(config)
        module, self.data = build_search(self.context.config, self.problem, PathModule)
        assert isinstance(module, PathModule)
        refuse_stages(module, config.stages.name)
        self.module = module
        #: What the training cost, for the summary; known once it has ended.
        self.costs: Summary = {}

    def run(self, strategy: Strategy) -> None:
        """Train, or continue a training that was stopped; one that has ended is not repeated.

        Args:
            strategy: draws the paths and learns after every epoch, if it shares weights; otherwise the paths are
                uniform draws.
        """
        sharing = strategy if isinstance(strategy, SharingStrategy) else None
        self.module.train_paths(self._uniform if sharing is None else sharing.path, self.epochs)
        settings = settings_of(self.context.resolved, "seed", "search", *PARTS, "data")
        settings |= {"paths": "uniform"} if sharing is None else settings_of(self.context.resolved, "strategy")
        turns = None if sharing is None else StrategyTurns(sharing, self.problem.count)
        done = fit_and_record(
            self.context,
            self.module,
            self.data,
            title="shared weights",
            epochs=self.epochs,
            facts=supernet_sizes(self.module.supernet),
            settings=settings,
            callbacks=[] if turns is None else [turns],
            logs=False,
        )
        self.module.supernet.to(done.trainer.strategy.root_device)  # Lightning moves it to the CPU at the end
        self.module.supernet.end_search()
        self.costs = {
            "steps": done.trainer.global_step,
            # Those of the rewards count as well.
            self.problem.samples: None if done.samples is None else done.samples + (turns.samples if turns else 0),
            "shared_weights/seconds": round(done.seconds, 3),
            **{
                f"shared_weights/{name.partition('/')[2]}": value
                for name, value in done.last.items()
                if name.startswith(("search/valid_", "search/reward"))
            },
        }

    @property
    def identity(self) -> dict[str, Any]:
        """What the scores depend on beside the settings of strategy and evaluator, flat, by dotted key."""
        found = settings_of(self.context.resolved, "search", *PARTS, "data")
        return {key: value for key, value in found.items() if key != "search.epochs"}

    def batches(self) -> Iterable[Any]:
        """The valid split, unaugmented, on the device and in the dtype of the supernet."""
        parameter = next(iter(self.module.supernet.alphas.values()))
        for batch in self.data.val_dataloader():
            moved = move_data_to_device(batch, parameter.device)
            yield tuple(part.to(parameter.dtype) if part.is_floating_point() else part for part in moved)

    def _uniform(self, seed: int) -> Genotype:
        return self.encoding.decode(self.encoding.draw(Random(seed)))


class StrategyTurns(Callback):
    """A turn of the strategy after every epoch of the shared weights; its state is part of the checkpoint.

    The rewards of a turn are those on one batch of the valid split each; turns go through the batches in order.

    Args:
        strategy: that shares weights.
        count: see `Count`.
    """

    def __init__(self, strategy: SharingStrategy, count: Count) -> None:
        self.strategy, self.count = strategy, count
        #: images or words on which rewards were computed
        self.samples = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, PathModule)
        with rewarding(pl_module, self._batches(trainer), self.strategy, self.count) as reward:
            mean = self.strategy.train(reward)
        pl_module.log("search/reward", mean)

    def state_dict(self) -> dict[str, Any]:
        return {"strategy": self.strategy.state_dict(), "samples": self.samples}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.strategy.load_state_dict(state_dict["strategy"])
        self.samples = state_dict["samples"]

    def _batches(self, trainer: pl.Trainer) -> Callable[[int], Any]:
        fitted: Any = trainer  # `fit` gives it the datamodule
        loader = fitted.datamodule.val_dataloader()

        def batch(number: int) -> Any:
            found = loader.batches(0, number % len(loader))
            self.samples += int(found[1].numel())
            return trainer.precision_plugin.convert_input(trainer.strategy.batch_to_device(found))

        return batch


@contextmanager
def rewarding(
    module: PathModule, batch: Callable[[int], Any], strategy: SharingStrategy, count: Count
) -> Iterator[Reward]:
    """Within it, a function from a genotype to its reward under the shared weights, which stay as they are.

    Args:
        module: with the shared weights.
        batch: the valid batch with a number, counted from 0 over the whole training.
        strategy: says what a reward is, and how many it has had.
        count: see `Count`.
    """
    supernet = module.supernet
    numbers = itertools.count(strategy.rewards)

    def score(genotype: Genotype) -> float:
        number = next(numbers)
        found = batch(number)
        mixing = one_path(supernet.space, genotype, next(iter(supernet.alphas.values())))
        with torch.no_grad():
            outcome = scoring_pass(supernet, supernet.with_carry(found, None), Draws(module.seed, number), mixing)
        samples, right = count(outcome, found)
        return strategy.reward(float(outcome.loss), None if right is None else float(right) / samples)

    with batch_statistics(supernet):
        yield score


def _of_training(context: Context, epochs: int) -> Context:
    """The context of the training: a subfolder, so many epochs, and whatever a checkpoint there says."""
    context = context.for_subfolder(SHARED_WEIGHTS)
    config, folder = copy(context.config), context.folder
    config.sections = {**config.sections, "search": replace(config.search, epochs=epochs), "observers": {}}
    config.resume = folder.checkpoint.is_file() or folder.previous_checkpoint.is_file()
    search: Mapping[str, Any] = {**context.resolved["search"], "epochs": epochs}
    return Context(config, {**context.resolved, "search": search}, folder)
