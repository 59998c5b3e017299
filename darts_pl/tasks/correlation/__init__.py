"""task=correlate: how well cheap scores of genotypes agree with those of their separate trainings."""

from darts_pl.tasks.correlation.correlate import CorrelateSettings, correlate

__all__ = ["CorrelateSettings", "correlate"]
