"""Statements of Python as text, laid out as formatters do it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Longest line, the default of the usual formatters.
WIDTH = 88


@dataclass(frozen=True)
class Source:
    """What the file of one network is put together from.

    Args:
        blocks: names of the modules in `blocks` that it uses.
        code: classes of its own, the last of which is `Network`.
        names: from our names of tensors to those of the file's network; other tensors are left out.
    """

    blocks: Sequence[str]
    code: str
    names: Mapping[str, str]


def text(value: str) -> str:
    """A string literal with the quotes that formatters choose."""
    if '"' in value:
        return repr(value)
    return f'"{repr(value)[1:-1]}"' if "'" not in value else repr(value)


def listing(name: str, values: Sequence[str], indent: str = "") -> str:
    """``name = [...]`` in one line where it fits, else one value per line."""
    line = f"{indent}{name} = [{', '.join(values)}]"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{indent}{name} = [", *(f"{indent}    {value}," for value in values), f"{indent}]"])


def total(target: str, terms: Sequence[str], indent: str = "        ") -> str:
    """``target = a + b``, over several lines where it does not fit in one."""
    line = f"{indent}{target} = {' + '.join(terms)}"
    if len(line) <= WIDTH:
        return line
    first, *rest = terms
    return "\n".join(
        [f"{indent}{target} = (", f"{indent}    {first}", *(f"{indent}    + {term}" for term in rest), f"{indent})"]
    )


def concatenation(names: Sequence[str], indent: str = "        ") -> str:
    """The statement that returns maps one behind the other."""
    line = f"{indent}return torch.cat([{', '.join(names)}], dim=1)"
    if len(line) <= WIDTH:
        return line
    inside = f"{indent}    [{', '.join(names)}], dim=1"
    rows = [inside]
    if len(inside) > WIDTH:
        rows = [
            f"{indent}    [",
            *(f"{indent}        {name}," for name in names),
            f"{indent}    ],",
            f"{indent}    dim=1,",
        ]
    return "\n".join([f"{indent}return torch.cat(", *rows, f"{indent})"])


def definition(name: str, arguments: Sequence[str], returns: str, indent: str = "    ") -> str:
    """The line with which a function begins."""
    end = f" -> {returns}:" if returns else ":"
    line = f"{indent}def {name}({', '.join(arguments)}){end}"
    if len(line) <= WIDTH:
        return line
    inside = f"{indent}    {', '.join(arguments)}"
    rows = [inside] if len(inside) <= WIDTH else [f"{indent}    {argument}," for argument in arguments]
    return "\n".join([f"{indent}def {name}(", *rows, f"{indent}){end}"])


def paragraph(words: str, indent: str = "") -> str:
    """Running text, wrapped."""
    return textwrap.fill(
        words, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
