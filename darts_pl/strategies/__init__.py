"""Searches without gradients: strategies, which ask for genotypes and receive scores, and evaluators."""

from darts_pl.strategies.by_optuna.nsga2 import Nsga2, Nsga2Settings, pareto_front
from darts_pl.strategies.by_optuna.optuna_search import OptunaSearch, OptunaSettings
from darts_pl.strategies.controllers.enas import Enas, EnasSettings
from darts_pl.strategies.controllers.reinforce import Reinforce, ReinforceSettings
from darts_pl.strategies.encoding import Decision, Encoding, Integers, Node
from darts_pl.strategies.evaluators import CachedEvaluator, Evaluation, Evaluator, TableEvaluator
from darts_pl.strategies.evolution import Evolution, EvolutionSettings
from darts_pl.strategies.local_search import LocalSearch, LocalSearchSettings
from darts_pl.strategies.mcts import Mcts, MctsSettings
from darts_pl.strategies.models.bayesian import Bayesian, BayesianSettings
from darts_pl.strategies.models.features import Features
from darts_pl.strategies.models.pnas import Pnas, PnasSettings
from darts_pl.strategies.q_learning import QLearning, QLearningSettings
from darts_pl.strategies.race import Budget, best_row, race
from darts_pl.strategies.random_search import RandomSearch, RandomSettings
from darts_pl.strategies.space_table import EVALUATORS, SpaceTable, SpaceTableSettings
from darts_pl.strategies.strategy import STRATEGIES, Proposal, Question, SharingStrategy, Strategy, build_strategy
from darts_pl.strategies.successive_halving import SuccessiveHalving, SuccessiveHalvingSettings

__all__ = [
    "EVALUATORS",
    "STRATEGIES",
    "Bayesian",
    "BayesianSettings",
    "Budget",
    "CachedEvaluator",
    "Decision",
    "Enas",
    "EnasSettings",
    "Encoding",
    "Evaluation",
    "Evaluator",
    "Evolution",
    "EvolutionSettings",
    "Features",
    "Integers",
    "LocalSearch",
    "LocalSearchSettings",
    "Mcts",
    "MctsSettings",
    "Node",
    "Nsga2",
    "Nsga2Settings",
    "OptunaSearch",
    "OptunaSettings",
    "Pnas",
    "PnasSettings",
    "Proposal",
    "QLearning",
    "QLearningSettings",
    "Question",
    "RandomSearch",
    "RandomSettings",
    "Reinforce",
    "ReinforceSettings",
    "SharingStrategy",
    "SpaceTable",
    "SpaceTableSettings",
    "Strategy",
    "SuccessiveHalving",
    "SuccessiveHalvingSettings",
    "TableEvaluator",
    "best_row",
    "build_strategy",
    "pareto_front",
    "race",
]
