"""What a trained network is and reads, also where an older version stored nothing of it."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig

from darts_pl.inference import describe_older
from darts_pl.problems import open_problem
from darts_pl.records import NetworkDescription
from darts_pl.tasks.execution.trained import Trained

#: What an exported network needs where nothing is prepared for it, and all that a prediction needs.
SIZE_ALONE, EVERYTHING = ("size",), ("size", "mean", "std", "vocabulary")


def describe_trained(trained: Trained, needed: Sequence[str] = EVERYTHING) -> NetworkDescription:
    """The stored description; without one, what the run's folder says, and for what is missing there its data.

    Args:
        trained: the network.
        needed: where one of these is missing, the data are opened.

    Raises:
        UserError: if data must be opened and cannot.
    """
    if trained.stored is not None:
        return trained.stored
    folder = None if trained.folder is None else trained.folder.path
    known = describe_older(folder, trained.genotype, trained.network)
    if not set(needed) & set(known.input.missing) or not (folder is not None or names_data()):
        return known
    problem = open_problem(trained.config)
    problem.check_genotype(trained.genotype)
    problem.testing(trained.network, trained.checkpoint)  # refuses data with other classes, channels or words
    return problem.describe(trained.genotype) or known


def names_data() -> bool:
    """Whether the command names data."""
    return any(override.startswith(("data=", "data.path=")) for override in HydraConfig.get().overrides.task)
