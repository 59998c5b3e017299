"""One batch of a search's validation."""

from __future__ import annotations

from typing import Any

from darts_pl.bilevel import Draws, batch_statistics, evaluate, scoring_pass
from darts_pl.spaces import Outcome, Supernet


def validated(supernet: Supernet, batch: Any, draws: Draws, *, batch_scores: bool) -> Outcome:
    """A pass with the expected mixing weights, or drawn ones where the relaxation trains a single path.

    Args:
        supernet: in evaluation mode.
        batch: with what is carried.
        draws: of this batch; with `batch_scores` whatever draws, such as a candidate, draws from them.
        batch_scores: whether BatchNorm uses the statistics of the batch, without a trace in the running ones.
    """
    if batch_scores:
        with batch_statistics(supernet):
            return scoring_pass(supernet, batch, draws)
    if supernet.arch.relaxation.single_path:
        return scoring_pass(supernet, batch, draws)
    return evaluate(supernet, batch, supernet.mixing())
