"""Lines that the first process of a run says for all."""

from __future__ import annotations

import logging

from pytorch_lightning.utilities import rank_zero_only

_log = logging.getLogger("darts_pl.data")


@rank_zero_only
def say(line: str) -> None:
    """Print a line on the first process."""
    print(line, flush=True)


@rank_zero_only
def warn(line: str) -> None:
    """Log a warning on the first process."""
    _log.warning(line)
