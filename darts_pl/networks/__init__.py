"""What a genotype builds."""

from darts_pl.networks.auxiliary import AuxiliaryTower
from darts_pl.networks.classifier import Classifier, FinalCell

__all__ = ["AuxiliaryTower", "Classifier", "FinalCell"]
