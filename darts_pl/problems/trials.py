"""What a selection rule may try out on the supernet of a search, whatever its space and its data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import move_data_to_device

from darts_pl.bilevel import SearchStep
from darts_pl.bilevel.inner import Mean, identity_mean
from darts_pl.callbacks import SelectionProgress
from darts_pl.config import Config
from darts_pl.data import SearchHalves
from darts_pl.genotype import Genotype
from darts_pl.latency import FinalNetworks
from darts_pl.modules import SearchModule
from darts_pl.problems.base import Problem
from darts_pl.selection import Dealt, Start, Trials, Tuner, TuningSettings
from darts_pl.selection.score import Size
from darts_pl.spaces import Supernet

#: File in a run's folder with the decisions of its selection rule.
JOURNAL = "selection.json"
#: File in a run's folder with the supernet as the rule has trained it so far.
TUNED = "tuned.pt"


@dataclass(frozen=True)
class Ended:
    """A search that has ended.

    Args:
        module: with the trained supernet, on the device where it is to be scored and trained.
        data: its data.
        alphas: state of the optimizer of the architecture parameters.
        start: where the search ended.
        mean: mean over ranks.
        writes: whether this process writes files and prints.
        ranks: number of processes.
        identity: what the decisions depend on beside the rule and the seed.
    """

    module: SearchModule
    data: pl.LightningDataModule
    alphas: Mapping[str, Any]
    start: Start
    mean: Mean = identity_mean
    writes: bool = True
    ranks: int = 1
    identity: Mapping[str, Any] | None = None


def build_trials(
    config: Config,
    problem: Problem,
    module: SearchModule,
    data: pl.LightningDataModule,
    folder: Path,
    taken: Mapping[str, Any] | None = None,
) -> Trials:
    """What a selection rule may try out at the end of a search, on all ranks together.

    Args:
        config: of the command.
        problem: counts what is right.
        module: the search, whose supernet is trained.
        data: its data; the valid half is what is scored.
        folder: of the run, where the decisions are recorded.
        taken: the checkpoint of an earlier epoch that the module was brought back to; None = the search ran to its
            end.
    """
    trainer = module.trainer
    module.supernet.to(trainer.strategy.root_device)  # Lightning moves it to the CPU when fitting ends
    ended = Ended(
        module,
        data,
        module.alpha_state() if taken is None else taken["optimizer_states"][1],
        Start(module.stages.total, trainer.global_step if taken is None else int(taken["global_step"])),
        mean=module.mean,
        writes=trainer.is_global_zero,
        ranks=trainer.world_size,
    )
    trials = trials_of(config, problem, ended, folder)
    trainer.strategy.barrier("journal")
    return trials


def check_rule(rule: Any, problem: Problem, supernet: Supernet) -> None:
    """Raise UserError where a rule does not fit the supernet or the final networks of a problem. Rules with a method
    `check` are asked, so that this is known before the search.

    Args:
        rule: as `RULES.build` gives it.
        problem: builds the final networks.
        supernet: which is not trained yet; it stays as it is.
    """
    check: Callable[[Supernet, Callable[[], FinalNetworks], Callable[[Genotype], Size]], None] | None
    check = getattr(rule, "check", None)
    if check is not None:
        with torch.random.fork_rng(devices=[]):  # the search draws what it would draw without the check
            check(supernet, problem.final_networks, problem.size)


def trials_of(config: Config, problem: Problem, ended: Ended, folder: Path) -> Trials:
    """What a selection rule may try out on a search that has ended.

    Args:
        config: of the search, with the rule of the command.
        problem: counts what is right.
        ended: the search.
        folder: where decisions and the tuned supernet are recorded.
    """
    supernet, data = ended.module.supernet, ended.data
    supernet.end_search()
    tell = _show if ended.writes else None
    tuner = _tuner(config, ended, folder / TUNED, tell)
    return Trials(
        supernet,
        lambda: _Batches(data.val_dataloader(), supernet, 1 if config.debug else None),
        problem.count,
        tune=tuner,
        trained=tuner.trained,
        journal=folder / JOURNAL,
        writes=ended.writes,
        mean=ended.mean,
        seed=config.seed,
        size=problem.size,
        networks=problem.final_networks,
        identity={"rule": asdict(config.select), "seed": config.seed, **(ended.identity or {})},
        dealt=_dealt(data, config.debug),
        watch=SelectionProgress("selection") if ended.writes else None,
        tell=tell,
    )


def _dealt(data: pl.LightningDataModule, debug: bool) -> Dealt | None:
    order = data.score_order() if isinstance(data, SearchHalves) else None
    if order is None:
        return None
    batches = min(order.all_batches, order.world_size) if debug else order.all_batches
    return Dealt(order.rank, order.world_size, batches)


def _tuner(config: Config, ended: Ended, file: Path, tell: Callable[[str], None] | None) -> Tuner:
    module, supernet = ended.module, ended.module.supernet
    settings = config.select if isinstance(config.select, TuningSettings) else None
    recipe = module.weight_recipe
    alphas = module.alpha_recipe.optimizer(supernet)
    alphas.load_state_dict(dict(ended.alphas))
    step = SearchStep(
        supernet,
        order=module.order,
        weights=replace(recipe, lr=recipe.lr * (TUNE_LR if settings is None else settings.tune_lr)).optimizer(supernet),
        alphas=alphas,
        grad_clip=recipe.grad_clip,
        alpha_clip=module.alpha_recipe.grad_clip,
        radius=module.radius,
        regulariser=module.regulariser,
        perturbation=module.perturbation,
        mean=ended.mean,
        seed=module.seed,
    )
    loader: Any = ended.data.train_dataloader()

    def batches(epoch: int) -> Iterable[Mapping[str, Any]]:
        loader.sampler.set_epoch(epoch)
        return _Batches(loader, supernet, 1 if config.debug else None)

    return Tuner(
        step,
        batches,
        ended.start,
        move_alphas=settings is None or not settings.fix_alpha,
        file=file,
        writes=ended.writes,
        ranks=ended.ranks,
        context=_autocast(config.hardware.precision, next(iter(supernet.alphas.values())).device),
        tell=tell,
    )


#: Fraction of the search's learning rate for rules without a setting of their own, as in DARTS-PT.
TUNE_LR = 0.1


class _Batches:
    """The batches of a loader on the device and in the dtype of a supernet."""

    def __init__(self, loader: Any, supernet: torch.nn.Module, most: int | None) -> None:
        self.loader, self.most = loader, most
        parameter = next(supernet.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype

    def __len__(self) -> int:
        return len(self.loader) if self.most is None else min(self.most, len(self.loader))

    def __iter__(self) -> Iterator[Any]:
        return (self._converted(move_data_to_device(batch, self.device)) for batch in islice(self.loader, self.most))

    def _converted(self, batch: Any) -> Any:
        if isinstance(batch, Mapping):
            return {name: self._converted(part) for name, part in batch.items()}
        return tuple(part.to(self.dtype) if part.is_floating_point() else part for part in batch)


def _autocast(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    if precision == "bf16-mixed":
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return nullcontext


def _show(line: str) -> None:
    print(line, flush=True)
