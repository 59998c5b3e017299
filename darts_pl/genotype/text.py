"""Genotypes in texts: where one begins, what its fields are, and which kind has these fields."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Mapping
from typing import Any

from darts_pl.errors import UserError
from darts_pl.genotype.cells import Genotype, find_kind, show, show_names
from darts_pl.genotype.kinds import KINDS, Kind
from darts_pl.genotype.literals import LiteralError, read_literal
from darts_pl.genotype.pairs import from_pairs

_log = logging.getLogger(__name__)

_CALL = re.compile(r"(?<!\w)(?<!class )(?<!def )Genotype\s{0,20}\(")
_DICTIONARY = re.compile(r"\{\s{0,99}['\"](\w{1,60})['\"]\s{0,20}:")
_RECORD = re.compile(r"(?<!\w)(?:OrderedDict|dict)\s{0,20}\(")
#: ``NAME = value`` at the beginning of a line.
_ASSIGNMENT = re.compile(
    r"^[ \t]{0,99}([^\W\d]\w{0,199})[ \t]{0,99}(?::[^=\n]{1,99})?=[ \t]{0,99}(?=[\w({])", re.MULTILINE
)
_ALIAS = re.compile(r"([^\W\d]\w{0,199})[ \t]{0,99}(?:#[^\n]*)?(?:\r?\n|$)")
_LONGEST_ALIAS = 20
#: What makes something else of the genotype before it.
_GOES_ON = re.compile(r"\[|\(|\.\w|[ \t]{0,99}[+*%|]")
_PREFIX = re.compile(r"(?:\(\s{0,99})?(?:[^\W\d]\w{0,99}\.){0,9}")


def parse(text: str) -> Genotype:
    """A genotype from any of the texts in which genotypes are printed.

    These are JSON and Python dictionaries; ``Genotype(...)``, also with a dotted name and with any text before and
    after it, such as an assignment or a whole log file; and what the kinds read, such as a NAS-Bench-301
    configuration. Of several genotypes the last one is taken, and a warning says so. Pairs may be nested by node,
    and fields without a value (``connects=None``) are left out. Values are read as literals (also ``range(...)``
    and NumPy's numbers) and never evaluated.

    Raises:
        UserError: if the text holds no genotype, or describes an impossible cell.
    """
    text = _clean(text)
    if (own := _read_by_kind(text)) is not None:
        return own
    starts = _starts(text)
    if not starts and not text.startswith("{"):
        raise UserError(f"genotype: neither a JSON object nor Genotype(...) text: {show(text[:80], 50)}")
    if len(starts) > 1:
        _log.warning("genotype: the text holds %d genotypes; the last one is taken", len(starts))
    return _from_literal(text, starts[-1] if starts else 0)


def is_text(text: str) -> bool:
    """Whether this is the text of a genotype, rather than a name or a path."""
    text = _clean(text)
    return text.startswith(("{", "Genotype")) or bool(_starts(text)) or _read_by_kind(text) is not None


def names_in(source: str) -> list[str]:
    """The names to which Python source text assigns a genotype, in order."""
    values = _assignments(source)
    starts = {match.start() for match in _CALL.finditer(source)}.union(_dictionaries(source))
    found = {name: _follow(source, values, name) for name in values}
    return [name for name, start in found.items() if start is not None and _without_prefix(source, start) in starts]


def parse_name(source: str, name: str) -> Genotype:
    """The genotype that Python source text assigns to `name`. The text is not run.

    Raises:
        UserError: if there is none of that name.
    """
    start = _follow(source, _assignments(source), name)
    if start is None:
        known = names_in(source)
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"genotype: no genotype is called {show_names([name])}; {guess}known: {show_names(known, 30)}")
    return _from_literal(source, start)


def _clean(text: str) -> str:
    return text.removeprefix("\ufeff").strip()


def _starts(text: str) -> list[int]:
    """Where ``Genotype(...)``, or else a dictionary with a field of a genotype, begins."""
    calls = [match.start() for match in _CALL.finditer(text)]
    if calls:
        return calls
    return _dictionaries(text) or [match.start() for match in _RECORD.finditer(text)]


def _dictionaries(text: str) -> list[int]:
    fields = {"kind"}.union(*(KINDS.get(name).cell_types for name in KINDS))
    return [match.start() for match in _DICTIONARY.finditer(text) if match.group(1) in fields]


def _read_by_kind(text: str) -> Genotype | None:
    """What the first kind with a text form of its own makes of a text; None if none knows it."""
    for name in KINDS:
        kind = KINDS.get(name)
        found = None if kind.parse_text is None else kind.parse_text(text)
        if found is not None:
            return found if isinstance(found, Genotype) else _from_fields({"kind": name, **found})
    return None


def _from_literal(text: str, start: int) -> Genotype:
    try:
        fields, end = read_literal(text, start)
    except LiteralError as error:
        form = "JSON" if text.startswith("{", start) else "Genotype(...)"
        raise UserError(f"genotype: {show(text[start : start + 80], 50)} is not readable as {form}: {error}") from None
    if _GOES_ON.match(text, end):
        raise UserError(f"genotype: {show(text[end : end + 80], 30)} after the genotype would change it; give it alone")
    if not isinstance(fields, Mapping):
        raise UserError(f"genotype: {show(text[start : start + 80], 50)} is no dictionary")
    return _from_fields(fields)


def _from_fields(fields: Mapping[Any, Any]) -> Genotype:
    given = {str(name): value for name, value in fields.items() if value is not None}
    kind = find_kind(given.pop("kind")) if "kind" in given else _kind_of(given)
    used: dict[str, tuple[Any, Any]] = {}
    inputs: dict[str, Any] = {}
    for name in kind.cell_types:
        concat = kind.concat_field(name)
        for key in (name, concat):
            if key is not None and key not in given:
                raise UserError(f"genotype: {key!r} is missing; found {show_names(sorted(given))}")
        used[name] = (given[name], None if concat is None else given[concat])
        if f"{name}_inputs" in given:
            inputs[name] = given[f"{name}_inputs"]
    known = {field for name in kind.cell_types for field in (name, kind.concat_field(name), f"{name}_inputs")}
    unknown = [field for field in given if field not in known]
    if unknown:
        raise UserError(f"genotype: unknown field {show(min(unknown))}")
    return from_pairs(kind.name, used, inputs)


def _kind_of(fields: Mapping[str, Any]) -> Kind:
    """The kind of whose cells most are there; of several, the one that was registered first. A kind that must be named
    is left out."""

    def present(kind: Kind) -> float:
        return sum(name in fields for name in kind.cell_types) / len(kind.cell_types)

    return max((KINDS.get(name) for name in KINDS if not KINDS.get(name).named), key=present)


def _assignments(source: str) -> dict[str, int]:
    """Where the value of every assigned name begins; of several assignments to one name the last counts."""
    return {match.group(1): match.end() for match in _ASSIGNMENT.finditer(source)}


def _follow(source: str, values: Mapping[str, int], name: str) -> int | None:
    """Where the value of `name` begins, through ``DARTS = DARTS_V2`` and the like."""
    for _ in range(_LONGEST_ALIAS):
        if name not in values:
            return None
        alias = _ALIAS.match(source, values[name])
        if alias is None:
            return values[name]
        name = alias.group(1)
    return None


def _without_prefix(source: str, start: int) -> int:
    """Where the last part of a dotted name begins, and an opening bracket is passed."""
    found = _PREFIX.match(source, start)
    return start if found is None else found.end()
