"""hydra/sweeper=strategy: a search without gradients whose questions are jobs of any of Hydra's launchers."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from darts_pl import plugins
from darts_pl.errors import UserError
from darts_pl.sweeps.evaluations import read_evaluations
from darts_pl.sweeps.hydra_callback import ClaimSweepFolder

if TYPE_CHECKING:
    from darts_pl.strategies.evaluators import Evaluation
    from darts_pl.strategies.strategy import Question

#: Keys of a command that belong to the search, not to the evaluation of one genotype.
_OF_THE_SEARCH = ("task", "strategy", "budget", "genotype", "resume", "overwrite", "evaluator")


class StrategySweeper(Sweeper):
    """Asks `batch` questions, evaluates them as jobs, and tells the answers in the order of the questions.

    The folder of the sweep receives what task=strategy leaves in the folder of a run, and a folder for each job, which
    is task=evaluate of one genotype. What is found depends on the seed and on `batch`, and not on which job is done
    first. A job that fails counts as the worst score. With resume=true a stopped search continues: answered questions
    are not asked again, and finished jobs of an open batch return their answers.

    Args:
        batch: how many questions are open at once.
    """

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember the command; called by Hydra."""
        self.command = config
        ClaimSweepFolder.answered = set()
        self.jobs = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the whole search; called by Hydra with the overrides of the command.

        Raises:
            UserError: if the command is not one of task=strategy, or its first jobs all fail for a reason that the
                user can fix.
        """
        # Imported here so that --help and tab completion stay quick.
        from darts_pl.config import parse_config
        from darts_pl.records import RunFolder
        from darts_pl.tasks import Context

        if not isinstance(self.batch, int) or isinstance(self.batch, bool) or self.batch < 1:
            raise UserError(f"hydra.sweeper.batch={self.batch}: must be a whole number, at least 1")
        plugins.load_plugins()
        plugins.import_modules(plugins.modules_of(self.command.imports))
        self.folder = Path(str(self.command.hydra.sweep.dir))
        self._announce()
        settings = OmegaConf.masked_copy(self.command, [str(key) for key in self.command if key != "hydra"])
        resolved: Any = OmegaConf.to_container(settings, resolve=True)
        return self._search(Context(parse_config(settings), resolved, RunFolder(self.folder)), arguments)

    def _announce(self) -> None:
        """Let HydraConfig describe the search, which writes into the folder of the sweep."""
        command = copy.deepcopy(self.command)  # Hydra makes it read-only
        with open_dict(command.hydra):
            command.hydra.runtime.output_dir = str(self.folder.absolute())
            command.hydra.job.num = 0
            command.hydra.job.id = "0"
        HydraConfig.instance().set_config(command)

    def _search(self, context: Any, arguments: Sequence[str]) -> Any:
        from darts_pl.records.run_identity import settings_of
        from darts_pl.strategies import EVALUATORS, CachedEvaluator
        from darts_pl.tasks import run_and_show
        from darts_pl.tasks.evaluation.strategy_run import StrategyRun, identity_of, run_strategy, strategy_and_budget

        config = context.config
        if config.task.name not in ("strategy", "random"):
            raise UserError(f"hydra/sweeper=strategy with task={config.task.name}; use task=strategy")
        if config.evaluator.name == "shared_weights" and config.evaluator.run is None:
            raise UserError("hydra/sweeper=strategy: jobs train no shared weights; give evaluator.run=FOLDER")
        self.overrides = self._of_jobs(arguments)
        strategy, budget = strategy_and_budget(config)
        others: dict[str, Any] = {"batch": self.batch}
        if not getattr(EVALUATORS.get(config.evaluator.name), "simulates", True):
            train = settings_of(context.resolved, "train", "data")
            others |= {key: value for key, value in train.items() if key != "train.epochs"}
        answers = CachedEvaluator(_never, charge_repeats=True, several=self._evaluate)
        self.answers = answers
        run = StrategyRun(strategy, answers, budget, identity_of(context, others), batch=self.batch)
        return run_and_show(context, lambda one: run_strategy(one, run))

    def _of_jobs(self, arguments: Sequence[str]) -> list[str]:
        """The overrides of every job: those of the command that do not belong to the search."""
        parsed = OverridesParser.create().parse_overrides(list(arguments))
        swept = [override.key_or_group for override in parsed if override.is_sweep_override()]
        if swept:
            raise UserError(f"{swept[0]}: hydra/sweeper=strategy takes one value per key; start one command for each")
        kept = [
            str(override.input_line)
            for override in parsed
            if override.key_or_group not in _OF_THE_SEARCH
            and not override.key_or_group.startswith(("task.", "strategy.", "budget."))
        ]
        chosen = self.command.hydra.runtime.choices["evaluator"]
        keys = [*(override.key_or_group for override in parsed), "task", "evaluator", "genotype", "task.epochs"]
        keys += ["task.costs", "task.latency", "resume"]
        # The folder of a job is called by its number alone.
        names = ",".join(f"'{key}'" for key in dict.fromkeys(keys))
        self.command.hydra.overrides.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{names}]")
        return [*kept, "task=evaluate", f"evaluator={chosen}", *_costs(self.command)]

    def _evaluate(self, questions: Sequence[Question]) -> list[Evaluation]:
        """The evaluations of some questions, each by a job; see `read_evaluations` for jobs that fail."""
        # Every job so far has one answer, whoever ran it: an earlier command, or this one.
        first = len(self.answers.known)
        jobs = [
            [
                *self.overrides,
                f'genotype="{question.genotype}"',
                *([] if question.epochs is None else [f"task.epochs={question.epochs}"]),
                *(["resume=true"] if self.command.resume else []),
            ]
            for question in questions
        ]
        self.jobs.launch(jobs, initial_job_idx=first)
        numbers = range(first, first + len(jobs))
        ClaimSweepFolder.answered = {*(ClaimSweepFolder.answered or ()), *numbers}
        return read_evaluations(self.folder, numbers, first=first == 0)


#: Hydra takes plugins from its namespace package only; this module is known under a name in it as well, the one that
#: conf/hydra/sweeper/strategy.yaml gives. So nothing has to be installed beside the package.
NAMESPACE = "hydra_plugins"
StrategySweeper.__module__ = f"{NAMESPACE}.darts_pl"


def register_sweeper() -> None:
    """Let Hydra know the sweeper; registering it again changes nothing."""
    try:
        parent = importlib.import_module(NAMESPACE)
    except ModuleNotFoundError:  # no plugin is installed
        parent = sys.modules[NAMESPACE] = ModuleType(NAMESPACE)
        parent.__path__ = []
    sys.modules[StrategySweeper.__module__] = sys.modules[__name__]
    vars(parent)["darts_pl"] = sys.modules[__name__]
    Plugins.instance().register(StrategySweeper)


def _never(question: Question) -> Evaluation:
    raise AssertionError("questions are evaluated by jobs")


def _costs(config: DictConfig) -> list[str]:
    """The overrides with which a job gives the further objectives of the search."""
    costs = OmegaConf.select(config, "task.costs") or []
    latency = OmegaConf.select(config, "task.latency")
    return [f"task.costs=[{','.join(costs)}]"] + ([] if latency is None else [f"task.latency='{latency}'"])
