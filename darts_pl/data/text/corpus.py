"""Texts as numbered words, and the registry of corpora they come from."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from darts_pl.data.identity import checksum
from darts_pl.data.paths import expand
from darts_pl.data.text.words import END, PUNCTUATION, WHITE_SPACE, words_of_lines
from darts_pl.errors import UserError
from darts_pl.registry import Registry

SPLITS = ("train", "valid", "test")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Three parts of a text, as numbers of words.

    Args:
        name: for messages.
        words: every word, by its number: in the order in which they first appear in train, valid, test.
        train, valid, test: int64 [N], values in [0, len(words)).
        splitting: how its lines became words, a name in `SPLITTINGS`.
    """

    name: str
    words: tuple[str, ...]
    train: Tensor
    valid: Tensor
    test: Tensor
    splitting: str = WHITE_SPACE

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Number and checksum of the words in their order, and of each split the same of its tokens."""
        return {
            "kind": "text",
            "words": len(self.words),
            "vocabulary": checksum("\0".join(self.words)),
            **{
                split: {"count": len(tokens), "content": checksum(tokens.numpy().astype("<i8"))}
                for split, tokens in (("train", self.train), ("valid", self.valid), ("test", self.test))
            },
        }


@dataclass(frozen=True)
class Published:
    """A corpus that has to be fetched by hand.

    Args:
        names: of each split's file, all that are tried.
        source: where to get it.
        sizes: tokens of train, valid and test and number of words, where they are known.
    """

    names: Mapping[str, tuple[str, ...]]
    source: str
    sizes: tuple[int, int, int, int] | None = None


PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "ptb": Published(
            {split: (f"ptb.{split}.txt", f"{split}.txt") for split in SPLITS},
            "the folder data/ of Mikolov's simple-examples.tgz, http://www.fit.vutbr.cz/~imikolov/rnnlm/",
            (929_589, 73_760, 82_430, 10_000),  # Mikolov's preprocessing, with one <eos> per line
        ),
        "wikitext2": Published(
            {split: (f"wiki.{split}.tokens", f"{split}.txt") for split in SPLITS},
            "wikitext-2-v1.zip of Merity et al., 2017, https://wikitext.smerity.com/wikitext-2-v1.zip",
        ),
    }
)


CORPORA: Registry[Callable[[str | None], Corpus]] = Registry("text")


def load_corpus(name: str, path: str | None = None) -> Corpus:
    """The corpus `name`.

    Args:
        name: one of `CORPORA`.
        path: a folder (ptb, wikitext2) or a file (text); not read by pydocs. ``~`` is the home folder.

    Raises:
        UserError: if the name is unknown, or a file is missing, empty or not UTF-8.
    """
    return CORPORA.get(name)(expand(path))


def number_words(name: str, splits: Mapping[str, Iterable[list[str]]], splitting: str = WHITE_SPACE) -> Corpus:
    """The corpus of three parts given as lines of words; each line gets an `END`."""
    numbers: dict[str, int] = {}
    tokens = {
        split: torch.tensor(
            [numbers.setdefault(word, len(numbers)) for line in splits[split] for word in (*line, END)],
            dtype=torch.int64,
        )
        for split in SPLITS
    }
    return Corpus(name, tuple(numbers), **tokens, splitting=splitting)


def unigram_perplexity(corpus: Corpus) -> float:
    """Perplexity on the test part of word frequencies counted on the training part.

    Every word is counted once more than it occurs, so that none has probability 0. As for a
    language model, the first word of the test part is given.
    """
    counts = torch.bincount(corpus.train, minlength=len(corpus.words)).double() + 1
    return math.exp(-(counts / counts.sum()).log()[corpus.test[1:]].mean().item())


def read_lines(path: Path, key: str = "data.path") -> list[str]:
    """The lines of a UTF-8 file.

    Args:
        path: of the file.
        key: that names it, for messages.

    Raises:
        UserError: if it cannot be read, is not UTF-8 or holds nothing but white space.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # as UTF-8; a byte order mark is no part of the first word
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}: {error.reason}); convert it to UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; {key} must name a UTF-8 text file") from None
    if not text.strip():
        raise UserError(f"{path}: the file is empty; it must hold text")
    return text.removesuffix("\n").split("\n")


def _published(name: str, path: str | None) -> Corpus:
    known = PUBLISHED[name]
    if path is None:
        raise UserError(
            f"data={name}: give data.path=FOLDER with {', '.join(names[0] for names in known.names.values())}; "
            f"from {known.source}"
        )
    files = {}
    for split, names in known.names.items():
        found = [Path(path) / file for file in names if (Path(path) / file).is_file()]
        if not found:
            raise UserError(f"data={name}: no {names[0]} in data.path={path}; it is from {known.source}")
        files[split] = found[0]
    corpus = number_words(name, {split: [line.split() for line in read_lines(file)] for split, file in files.items()})
    sizes = (len(corpus.train), len(corpus.valid), len(corpus.test), len(corpus.words))
    if known.sizes is not None and sizes != known.sizes:
        _log.warning(
            "data=%s: %d, %d and %d tokens and %d words in %s; the published text has %d, %d, %d and %d",
            *(name, *sizes, path, *known.sizes),
        )
    return corpus


def _in_tenths(name: str, lines: list[list[str]], splitting: str = WHITE_SPACE) -> Corpus:
    """The first 80 % of the lines are the training part, the next 10 % validate, the rest tests."""
    if len(lines) < 10:
        raise UserError(f"{name}: {len(lines)} lines cannot be split 80/10/10; give a text of 10 lines or more")
    bounds = (0, len(lines) * 8 // 10, len(lines) * 9 // 10, len(lines))
    parts = {split: lines[bounds[i] : bounds[i + 1]] for i, split in enumerate(SPLITS)}
    return number_words(name, parts, splitting)


@CORPORA.register("ptb")
def ptb(path: str | None) -> Corpus:
    """Penn Treebank with Mikolov's preprocessing; warns when the sizes are not the published ones."""
    return _published("ptb", path)


@CORPORA.register("wikitext2")
def wikitext2(path: str | None) -> Corpus:
    """WikiText-2 (Merity et al., 2017), word level."""
    return _published("wikitext2", path)


@CORPORA.register("text")
def text(path: str | None) -> Corpus:
    """The user's own UTF-8 file; white space separates words."""
    if path is None:
        raise UserError("data=text: give data.path=FILE, a UTF-8 text")
    return _in_tenths(path, [line.split() for line in read_lines(Path(path))])


@CORPORA.register("pydocs")
def pydocs(path: str | None = None) -> Corpus:
    """The documentation topics that every Python interpreter bundles: lower case, punctuation marks
    are words, lines without words are left out."""
    from pydoc_data.topics import topics

    lines = (line for topic in sorted(topics) for line in topics[topic].splitlines())
    return _in_tenths("pydocs", list(words_of_lines(lines, PUNCTUATION)), PUNCTUATION)
