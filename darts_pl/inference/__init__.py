"""A trained network that answers: loaded from a folder or a file, with its preprocessing and class names.

Needs neither Hydra nor a Trainer: ``darts_pl.load(FOLDER).predict(PHOTO)``.
"""

from darts_pl.inference.classifier import ImageClassifier, Normalised, Prediction
from darts_pl.inference.language import TextModel, TextPrediction
from darts_pl.inference.loading import Loaded, load, stored_description, with_description
from darts_pl.inference.older_runs import describe_older
from darts_pl.inference.places import CARD, CONFIG, EXPORTED, WEIGHTS, exported_folder, finished_training
from darts_pl.inference.preparation import Preparation
from darts_pl.inference.weights import load_classifier, load_language_model, load_network

__all__ = [
    "CARD",
    "CONFIG",
    "EXPORTED",
    "WEIGHTS",
    "ImageClassifier",
    "Loaded",
    "Normalised",
    "Prediction",
    "Preparation",
    "TextModel",
    "TextPrediction",
    "describe_older",
    "exported_folder",
    "finished_training",
    "load",
    "load_classifier",
    "load_language_model",
    "load_network",
    "stored_description",
    "with_description",
]
