"""What is searched and trained on which data: data, scores and modules that belong together."""

from darts_pl.problems.base import PROBLEMS, Problem, Testing, Training, open_problem, problem_that_gives
from darts_pl.problems.images import ImageProblem
from darts_pl.problems.search import SupernetFactory, build_search
from darts_pl.problems.text import TextProblem
from darts_pl.problems.trials import Ended, build_trials, check_rule, trials_of

__all__ = [
    "PROBLEMS",
    "Ended",
    "ImageProblem",
    "Problem",
    "SupernetFactory",
    "Testing",
    "TextProblem",
    "Training",
    "build_search",
    "build_trials",
    "check_rule",
    "open_problem",
    "problem_that_gives",
    "trials_of",
]
