"""Reads the literals of Python, NumPy and JSON from a text, by a grammar of its own: nothing is evaluated.

Beside numbers, strings, lists, tuples, sets and dictionaries it knows the calls in `CALLS`, such as
``range(2, 6)`` and ``np.int64(2)``. Every limit is there so that any text ends in a value or in a message
within a fraction of a second.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from darts_pl.genotype.calls import CALLS, RECORDS, LiteralError, add_field, record, sorted_numbers

DEEPEST = 40
MOST_TOKENS = 40_000
LONGEST_NUMBER = 40

_TOKEN = re.compile(
    r"""(?P<space>\s+|\\\n|\#[^\n]*)
    | (?P<string>[rRuU]?(?:'[^'\\\n]*(?:\\.[^'\\\n]*)*'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"))
    | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
    | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
_CONSTANTS: Mapping[str, Any] = {
    "None": None, "null": None, "True": True, "true": True, "False": False, "false": False,
    "nan": float("nan"), "NaN": float("nan"), "inf": float("inf"), "Infinity": float("inf"),
}  # fmt: skip
_KEYWORD = re.compile(r"\s{0,99}=(?!=)")
_CLOSING = {"[": "]", "(": ")", "{": "}"}


class _Token(NamedTuple):
    sort: str
    text: str
    start: int
    end: int


def read_literal(text: str, start: int = 0) -> tuple[Any, int]:
    """The literal that begins at `start` and the position behind it.

    ``Genotype(name=value, ...)`` is read as a dictionary.

    Raises:
        LiteralError: if there is none, or a limit is exceeded.
    """
    reader = _Reader(text, start)
    value = reader.value(0)
    return value, reader.behind


class _Reader:
    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.position = start
        self.behind = start
        self.tokens = 0
        self.token = self._read()

    def _read(self) -> _Token:
        while (match := _TOKEN.match(self.text, self.position)) is not None:
            self.tokens += 1
            self.position = match.end()
            _check_length(self.tokens)
            if match.lastgroup != "space":
                return _Token(str(match.lastgroup), match.group(), match.start(), match.end())
        return _Token("end", "the end", len(self.text), len(self.text))

    def _next(self) -> _Token:
        token, self.behind = self.token, self.token.end
        self.token = self._read()
        return token

    def _is(self, mark: str) -> bool:
        return self.token.sort == "mark" and self.token.text == mark

    def _fail(self, expected: str) -> LiteralError:
        found = self.token.text if self.token.sort == "end" else repr(self.token.text[:20])
        return LiteralError(
            f"expected {expected}, found {found} in line {self.text.count(chr(10), 0, self.token.start) + 1}"
        )

    def value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise LiteralError(f"it is nested more than {DEEPEST} times")
        value = self._atom(depth)
        while self._is("+") and isinstance(value, (list, tuple)):
            self._next()
            more = self._atom(depth)
            if type(more) is not type(value):
                raise LiteralError("only lists can be added to lists, and tuples to tuples")
            value = type(value)([*value, *more])
            _check_length(len(value))
        return value

    def _atom(self, depth: int) -> Any:
        if self.token.sort == "string":
            return _string(self._next().text)
        if self.token.sort == "number":
            return _number(self._next().text)
        if self._is("[") or self._is("("):
            opening = self._next().text
            items, commas = self._items(_CLOSING[opening], depth)
            if opening == "(":
                return items[0] if len(items) == 1 and not commas else tuple(items)
            return items
        if self._is("{"):
            self._next()
            return self._braces(depth)
        if self.token.sort == "name":
            name = self._next().text.rpartition(".")[2]
            if not self._is("("):
                if name in _CONSTANTS:
                    return _CONSTANTS[name]
                raise LiteralError(f"{name[:40]!r} is no literal; names and expressions are never evaluated")
            self._next()
            return self._call(name, depth)
        raise self._fail("a value")

    def _items(self, closing: str, depth: int) -> tuple[list[Any], bool]:
        """The values up to the closing bracket, and whether there was a comma."""
        items: list[Any] = []
        commas = False
        while not self._is(closing):
            if self._is("*"):
                self._next()
                spread = self.value(depth + 1)
                if not isinstance(spread, (list, tuple)):
                    raise LiteralError("* needs a list")
                items += spread
                _check_length(len(items))
            else:
                items.append(self.value(depth + 1))
            if self._is(","):
                commas = True
                self._next()
            elif not self._is(closing):
                raise self._fail(f"',' or {closing!r}")
        self._next()
        return items, commas

    def _braces(self, depth: int) -> Any:
        """A dictionary, or a set as a list."""
        found: dict[Any, Any] = {}
        items: list[Any] = []
        while not self._is("}"):
            item = self.value(depth + 1)
            if self._is(":") and not items:
                self._next()
                add_field(found, item, self.value(depth + 1))
            elif found:
                raise self._fail("':'")
            else:
                items.append(item)
            if self._is(","):
                self._next()
            elif not self._is("}"):
                raise self._fail("',' or '}'")
        self._next()
        return sorted_numbers(items) if items else found

    def _pass_over(self) -> None:
        """Pass over the value of an argument that is not used, such as dtype=object."""
        while not self._is(",") and not self._is(")"):
            if self.token.sort == "end" or self.token.text in _CLOSING:
                raise self._fail("',' or ')'")
            self._next()

    def _call(self, name: str, depth: int) -> Any:
        if name not in CALLS and name not in RECORDS:
            raise LiteralError(f"{name[:40]!r} is not called; names and expressions are never evaluated")
        values: list[Any] = []
        named: dict[Any, Any] = {}
        while not self._is(")"):
            before = self.token
            if before.sort == "name" and _KEYWORD.match(self.text, before.end):
                self._next()
                self._next()
                if name in RECORDS:
                    add_field(named, before.text, self.value(depth + 1))
                else:
                    self._pass_over()
            else:
                values.append(self.value(depth + 1))
            if self._is(","):
                self._next()
            elif not self._is(")"):
                raise self._fail("',' or ')'")
        self._next()
        if name in RECORDS:
            return record(name, values, named)
        try:
            return CALLS[name](*values)
        except LiteralError:
            raise
        except (TypeError, ValueError, OverflowError):
            raise LiteralError(f"{name}(...) has arguments that it cannot take") from None


def _check_length(length: int) -> None:
    if length > MOST_TOKENS:
        raise LiteralError("it is too long for a genotype")


def _string(token: str) -> str:
    if "\\" not in token:
        return token.lstrip("rRuU")[1:-1]
    try:
        if token.startswith('"'):
            with contextlib.suppress(ValueError):
                return str(json.loads(token))  # whose escapes differ from Python's
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an escape that Python does not know
            return str(ast.literal_eval(token))  # of one string, for its escapes
    except (SyntaxError, ValueError):
        raise LiteralError(f"{token[:20]!r} is no valid text") from None


def _number(token: str) -> int | float:
    if len(token) > LONGEST_NUMBER:
        raise LiteralError(f"{token[:20]}... is too long a number")
    return int(token) if re.fullmatch(r"[+-]?\d+", token) else float(token)
