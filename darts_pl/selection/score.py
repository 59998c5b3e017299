"""What a selection rule learns of a supernet and of a final network, and what it trains."""

from __future__ import annotations

from typing import NamedTuple


class Score(NamedTuple):
    """How good a supernet is with given mixing weights.

    Args:
        loss: mean over all samples, in nats.
        accuracy: fraction of samples that are classified right; None where there are no classes.
    """

    loss: float
    accuracy: float | None


class Size(NamedTuple):
    """How large a final network is.

    Args:
        parameters: number of weights.
        multiply_adds: for one sample; None where nobody counts them.
    """

    parameters: int
    multiply_adds: int | None


class Trained(NamedTuple):
    """How much a rule has trained the supernet so far, also before it was continued.

    Args:
        steps: of the optimizer of the weights.
        samples: images or words in the batches of these steps, on all ranks.
    """

    steps: int = 0
    samples: int = 0
