"""LightningModules: the search and the training from scratch."""

from darts_pl.modules.classifier import ClassifierModule, ClassifierRecipe
from darts_pl.modules.search import AlphaRecipe, SearchModule, WeightRecipe

__all__ = ["AlphaRecipe", "ClassifierModule", "ClassifierRecipe", "SearchModule", "WeightRecipe"]
