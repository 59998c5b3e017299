"""LightningModules: the search and the training from scratch."""

from darts_pl.modules.classifier import ClassifierModule, ClassifierRecipe
from darts_pl.modules.language import LanguageModule, LanguageRecipe
from darts_pl.modules.scores import ClassificationScores, LanguageScores, Perplexity, Scores
from darts_pl.modules.search import AlphaRecipe, SearchModule, WeightRecipe

__all__ = [
    "AlphaRecipe",
    "ClassificationScores",
    "ClassifierModule",
    "ClassifierRecipe",
    "LanguageModule",
    "LanguageRecipe",
    "LanguageScores",
    "Perplexity",
    "Scores",
    "SearchModule",
    "WeightRecipe",
]
