"""How a line of text becomes words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

#: The last word of every line.
END = "<eos>"
#: What stands for a word that is not in the vocabulary, in texts whose authors put it there.
UNKNOWN = "<unk>"

WHITE_SPACE, PUNCTUATION = "white_space", "punctuation"


def _by_white_space(lines: Iterable[str]) -> Iterator[list[str]]:
    """A word is what stands between white space; an empty line has none."""
    return (line.split() for line in lines)


def _by_punctuation(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lower case, punctuation marks are words, lines without words are left out."""
    return (words for line in lines if (words := re.findall(r"\w+|[^\w\s]", line.lower())))


#: By name, from lines to words. A network's description holds the name.
SPLITTINGS: Mapping[str, Callable[[Iterable[str]], Iterator[list[str]]]] = MappingProxyType(
    {WHITE_SPACE: _by_white_space, PUNCTUATION: _by_punctuation}
)


def words_of_lines(lines: Iterable[str], splitting: str = WHITE_SPACE) -> Iterator[list[str]]:
    """The words of each line that has some, or of every line; see `SPLITTINGS`."""
    return SPLITTINGS[splitting](lines)
