"""Lines that the first process of a run says for all."""

from __future__ import annotations

import logging
import textwrap

from pytorch_lightning.utilities import rank_zero_only

#: Columns of a line, as in `darts_pl.callbacks.screen.lines`; a word, such as a path, is not broken.
WIDTH = 100

_log = logging.getLogger("darts_pl.data")


@rank_zero_only
def say(line: str) -> None:
    """Print a text on the first process, on as many lines as it needs; further ones are indented."""
    print(
        textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False), flush=True
    )


@rank_zero_only
def warn(line: str) -> None:
    """Log a warning on the first process."""
    _log.warning(line)
