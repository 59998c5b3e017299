"""``KEY=VALUE`` in a form that Hydra's grammar and a shell take."""

from __future__ import annotations

import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException


def assignment(key: str, value: str) -> str:
    """``key=value`` as one would type it: plain where that works, else quoted."""
    plain = f"{key}={value}"
    return plain if _read(plain) == value and shlex.quote(plain) == plain else quoted_assignment(key, value) or plain


def quoted_assignment(key: str, value: str) -> str | None:
    """``key="value"``, quoted for a shell too; None for a value that Hydra cannot take at all."""
    argument = hydra_argument(key, value)
    return None if argument is None else shlex.quote(argument)


def hydra_argument(key: str, value: str) -> str | None:
    """``key="value"`` as Hydra is given it, without a shell; None for a value that Hydra cannot take at all."""
    for quote in ('"', "'"):
        # A backslash counts as an escape only before a quote, also before the closing one.
        escaped = re.sub(rf"(\\*)({quote}|$)", lambda found: _escaped(*found.groups()), value)
        argument = f"{key}={quote}{escaped}{quote}"
        if _read(argument) == value:
            return argument
    return None


def _escaped(backslashes: str, quote: str) -> str:
    return backslashes * 2 + ("\\" if quote else "") + quote


def _read(argument: str) -> object:
    try:
        override = OverridesParser.create().parse_override(argument)
        return None if override.is_sweep_override() else override.value()
    except HydraException:
        return None
