"""The pages of the documentation, and the commands and links in them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("results/*.md"))]
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))
EVERY_PAGE = [*PAGES, *NOTEBOOKS]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_RUN = re.compile(r"(?:^|\s)(?:python|darts-pl|torchrun\s[^\n]*?|\S+/python)\s+(?:\S*run\.py)\s*(.*)$")


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def markdown(page: Path) -> str:
    """The Markdown of a page; of a notebook that of its text cells."""
    if page.suffix != ".ipynb":
        return page.read_text(encoding="utf-8")
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, as they stand."""
    return [text for name, text in _FENCE.findall(markdown(page)) if name == language]


def _lines(page: Path) -> Iterator[str]:
    """Lines of shell blocks, indented lines, and code in sentences, with continued lines joined."""
    text = markdown(page)
    outside = _FENCE.sub("", text)
    for block in [*blocks(page, "sh"), *re.findall(r"^    .*$", outside, flags=re.MULTILINE)]:
        yield from block.replace("\\\n", " ").splitlines()
    for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", outside):
        yield code.replace("\\|", "|").replace("\n", " ")


def commands(page: Path) -> list[list[str]]:
    """The arguments of every command of the program on a page, with real values in the places of others."""
    found = []
    for line in _lines(page):
        if (match := _RUN.search(line)) is None:
            continue
        words = re.sub(r"<\w+>", "x", match.group(1)).replace("$seed", "0")
        arguments = [word for word in shlex.split(words, comments=True) if word != "..."]
        ends = [index for index, word in enumerate(arguments) if word in ("&", "|", ";", ">", ">>")]
        found.append(arguments[: ends[0]] if ends else arguments)
    return found


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub, and the site, give to the headings of a page."""
    found: dict[str, int] = {}
    for title in re.findall(r"^#+ +(.*)$", _FENCE.sub("", markdown(page)), flags=re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return set(found)


def links(page: Path) -> list[str]:
    """The targets of all links and pictures on a page."""
    text = re.sub(r"(?<!`)`[^`\n]*`(?!`)", "", _FENCE.sub("", markdown(page)))
    return re.findall(r"\]\(([^)\s]+)\)", text)
