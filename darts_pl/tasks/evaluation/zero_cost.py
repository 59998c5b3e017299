"""evaluator=zero_cost: genotypes are scored at initialization, from one batch of the train split."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from darts_pl.bilevel import Draws, seeded
from darts_pl.config import Config
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.problems import ImageProblem, Problem, open_problem
from darts_pl.registry import unknown_name
from darts_pl.runs.data_identity import keep_data_identity
from darts_pl.runs.hardware import device_of_hardware
from darts_pl.settings import at_least, setting
from darts_pl.spaces import Space, build, space_of
from darts_pl.strategies import EVALUATORS, Encoding, Evaluation
from darts_pl.strategies.evaluators import FAILURES
from darts_pl.strategies.race import HISTORY
from darts_pl.strategies.strategy import Question
from darts_pl.strategies.zero_cost import ZERO_COST
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.short_training import halves_identity


class ZeroCostScores:
    """Scores of networks at initialization, from the first images that a training on the train split would read.

    Every network starts from the same seed, that of the command.

    Args:
        config: of the command; `train` says how large the networks are.
        names: of `ZERO_COST`.
        batch_size: how many images are read.
        section: of the configuration that has `batch_size`, for messages.

    Raises:
        UserError: if a name is unknown, the data are text, or there are not so many images.
    """

    def __init__(self, config: Config, names: Sequence[str], batch_size: int, *, section: str) -> None:
        for name in names:
            if name not in ZERO_COST:
                raise UserError(f"{unknown_name('score at initialization', name, ZERO_COST.list())}")
        if config.data.holds != ImageProblem.gives:
            raise UserError(
                f"data={config.data.name}: scores at initialization are those of image classifiers; for text use "
                "evaluator=train or shared_weights"
            )
        self.config, self.names = config, tuple(names)
        self.problem: Problem = open_problem(config)
        self.device = device_of_hardware(config.hardware)
        self._batch_size, self._section = batch_size, section
        self._batch: tuple[Tensor, Tensor] | None = None
        self.data: Any = None

    def check(self, genotype: Genotype) -> None:
        """Raise UserError unless genotype, data and sizes fit each other; reads the images."""
        self.problem.check_genotype(genotype)
        self.data = self.problem.training(genotype, halves=True).data
        loader = self.data.train_dataloader()
        parts, count = [], 0
        for index in range(len(loader)):
            if count < self._batch_size:
                parts.append(loader.batches(0, index))
                count += len(parts[-1][1])
        if count < self._batch_size:
            raise UserError(
                f"{self._section}.batch_size={self._batch_size}: the train split gives {count} images in whole batches"
            )
        x, labels = (torch.cat(one)[: self._batch_size].to(self.device) for one in zip(*parts, strict=True))
        self._batch = x, labels

    def __call__(self, genotype: Genotype) -> dict[str, float]:
        """Every score by its name; nan for one that failed. `check` was called before."""
        assert self._batch is not None
        x, labels = self._batch
        found = {}
        for name in self.names:
            network = self._network(genotype).to(self.device).train()
            with seeded(Draws(self.config.seed).seed("train"), self.device):
                try:
                    found[name] = float(ZERO_COST.get(name)(network, x, labels))
                except FAILURES:
                    found[name] = math.nan
        return found

    def _network(self, genotype: Genotype) -> torch.nn.Module:
        sizes = dict(space_of(genotype.kind).network_sizes(self.config.train, self.problem.facts))
        if "auxiliary" in sizes:  # the tower is no part of what is scored
            sizes["auxiliary"] = False
        with seeded(Draws(self.config.seed).seed("build"), torch.device("cpu")):
            network: torch.nn.Module = build(genotype, **sizes)
        return network


@dataclass(frozen=True, kw_only=True)
class ZeroCostSettings:
    """A score at initialization."""

    score: str = setting("which score: synflow, naswot, jacob_cov, snip or grad_norm")
    batch_size: int = setting("images that the score is computed from", at_least(2))


@EVALUATORS.register("zero_cost", settings=ZeroCostSettings)
class ZeroCostEvaluator:
    """Scores the untrained network of a genotype with the sizes in `train`.

    Args:
        settings: which score.
        space: of the genotypes.
        encoding: of the genotypes that will be asked.
        context: of the command.

    Raises:
        UserError: if the score is unknown, the space has no final network, or data and settings do not fit each
            other.
    """

    simulates = False
    objectives = 1
    takes_epochs = False

    def __init__(self, settings: ZeroCostSettings, space: Space, encoding: Encoding, context: Context) -> None:
        if settings.score not in ZERO_COST:
            raise UserError(f"evaluator.score: {unknown_name('score', settings.score, ZERO_COST.list())}")
        if space.data != ImageProblem.gives:
            raise UserError(
                f"evaluator=zero_cost with search.space={space.name}: its scores are those of image classifiers; "
                "use evaluator=train or shared_weights"
            )
        self.settings, self.context = settings, context
        self._scores = ZeroCostScores(context.config, [settings.score], settings.batch_size, section="evaluator")
        self._scores.check(encoding.decode(encoding.draw(Random(0))))
        #: What the scores depend on beside the genotype and the settings of the evaluator.
        self.identity: Mapping[str, Any] = {
            key: value for key, value in halves_identity(context).items() if key not in ("seed", "train.epochs")
        }

    def __call__(self, question: Question) -> Evaluation:
        """The score; none where it is not finite.

        Raises:
            UserError: if the question says for how many epochs to train, or earlier questions had other data.
        """
        if question.epochs is not None:
            raise UserError(
                f"evaluator=zero_cost has no scores after {question.epochs} epochs, as this strategy asks; "
                "use evaluator=train"
            )
        folder = self.context.folder.path
        keep_data_identity(folder, self._scores.data, continues=(folder / HISTORY).is_file(), writes=True)
        started = time.monotonic()
        score = self._scores(question.genotype)[self.settings.score]
        seconds = round(time.monotonic() - started, 3)
        size = self._scores.problem.size(question.genotype)
        facts = {"seconds": seconds, "parameters": size.parameters, "multiply_adds": size.multiply_adds}
        return Evaluation((score,), facts=facts)
