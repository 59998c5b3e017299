"""LightningModules: the search and the training from scratch."""

from darts_pl.modules.classifier import ClassifierModule, ClassifierRecipe, ValidatedClassifierModule
from darts_pl.modules.language import LanguageModule, LanguageRecipe
from darts_pl.modules.path_training import DrawPath, PathModule
from darts_pl.modules.scores import ClassificationScores, LanguageScores, Perplexity, Scores
from darts_pl.modules.search import SearchModule
from darts_pl.modules.stage_run import StageRun

__all__ = [
    "ClassificationScores",
    "ClassifierModule",
    "ClassifierRecipe",
    "DrawPath",
    "LanguageModule",
    "LanguageRecipe",
    "LanguageScores",
    "PathModule",
    "Perplexity",
    "Scores",
    "SearchModule",
    "StageRun",
    "ValidatedClassifierModule",
]
