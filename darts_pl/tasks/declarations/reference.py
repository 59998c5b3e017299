"""The reference page of the configuration, `docs/configuration.md`::

    python -m darts_pl.tasks.declarations.reference > docs/configuration.md

Keys, types, ranges and their meaning come from the settings of the registered components, defaults
and their sources from the group files in `conf/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import OmegaConf

from darts_pl.config import SECTIONS, CommandSettings, type_name
from darts_pl.config.convert import without_none
from darts_pl.config.sections import CHOICE_HELP
from darts_pl.config.upgrade import RENAMED, flatten

HEADER = """# Configuration

Every group, key, type and default. This page is made by `make reference`; do not edit it.

A group is swapped by name (`order=first`), a value by its key (`search.layers=4`). For each section the
first tables list the keys of the components that it can hold. The table of defaults lists what the files
of its group in `conf/` give, with the source of each value. `python run.py --cfg job` prints the composed
configuration.
"""


def reference(conf: Path) -> str:
    """The page as Markdown.

    Args:
        conf: the folder with the group files.
    """
    main = conf / "config.yaml"
    parts = [HEADER, "## Top level", _table(KEYS, _rows(CommandSettings, "")), *_of_file(main, "")]
    for name, section in SECTIONS.items():
        parts.append(f"## {name}")
        tables: dict[str, list[str]] = {}
        for prefix, label, schema in section.schemas():
            table = _table(KEYS, sorted(_rows(schema, prefix), key=lambda row: row[3] != CHOICE_HELP))
            tables.setdefault(table, []).append(label)
        for table, labels in tables.items():
            names = ", ".join(f"`{label}`" for label in labels if label)
            parts += [f"### {names}" if names else "", table]
        if not tables:
            parts.append("This package has none; a plugin may bring some.")
        files = sorted((conf / name).glob("*.yaml"))
        if files:
            parts += [f"### Defaults of `{name}`", *_of_group(files, name)]
    for name in ("method", "preset", "experiment"):
        parts.append(f"## {name}")
        for file in sorted((conf / name).glob("*.yaml")):
            parts += [f"### `{name}={file.stem}`", *_of_file(file, "")]
    parts += [
        "## Keys of earlier versions",
        "They keep working; a line names the new key.",
        _table(("earlier", "now"), [(f"`{old}`", f"`{new}`") for old, new in RENAMED.items()]),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


KEYS = ("key", "type", "values", "meaning")
DEFAULTS = ("key", "default", "source or note")


def _rows(schema: type, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """(key, type, range, meaning) of every setting."""
    hints = get_type_hints(schema)
    for one in fields(schema):
        key = f"{prefix}.{one.name}" if prefix else one.name
        _, kind = without_none(hints[one.name])
        if isinstance(kind, type) and is_dataclass(kind):
            yield from _rows(kind, key)
        else:
            within = one.metadata.get("range")
            meaning = one.metadata.get("help", "")
            yield f"`{key}`", type_name(hints[one.name]), within.text if within else "", meaning


def _of_group(files: Sequence[Path], section: str) -> Iterator[str]:
    """What each file of a group is, and one table of all their values."""
    found: dict[tuple[str, str, str], list[str]] = {}
    notes = []
    for file in files:
        note, chosen, rows = _read(file, section)
        for row in rows:
            found.setdefault(row, []).append(file.stem)
        what = " ".join(part for part in (note, f"Chooses {chosen}." if chosen else "") if part)
        if what:
            notes.append(f"- `{section}={file.stem}`: {what}")
    yield "\n".join(notes)
    keys = list(dict.fromkeys(key for key, _, _ in found))
    ordered = sorted(found, key=lambda row: keys.index(row[0]))
    names = {row: "all" if len(of) == len(files) > 1 else ", ".join(of) for row, of in found.items()}
    yield _table((*DEFAULTS, "file"), [(*row, names[row]) for row in ordered])


def _of_file(file: Path, section: str) -> Iterator[str]:
    """What one file is, and its values."""
    note, chosen, rows = _read(file, section)
    yield " ".join(part for part in (note, f"Chooses {chosen}." if chosen else "") if part)
    if rows:
        yield _table(DEFAULTS, rows)


def _read(file: Path, section: str) -> tuple[str, str, list[tuple[str, str, str]]]:
    """The comment at a file's top, the groups that it chooses, and (key, value, comment) of its values."""
    text = file.read_text(encoding="utf-8")
    values = OmegaConf.to_container(OmegaConf.create(text))
    assert isinstance(values, dict)
    chosen = [_chosen(one) for one in values.pop("defaults", []) if one != "_self_"]
    values.pop("hydra", None)
    inside = "" if not section or text.startswith("# @package _global_") else f"{section}."
    comments = _comments(text)
    rows = [(f"`{inside}{key}`", f"`{_yaml(value)}`", comments.get(key, "")) for key, value in flatten(values).items()]
    return _first_comment(text), ", ".join(f"`{one}`" for one in chosen), rows


def _chosen(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    [(group, name)] = entry.items()
    return f"{str(group).removeprefix('override').strip().removeprefix('/')}={_yaml(name)}"


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_yaml, value))}]"
    return str(value)


def _comments(text: str) -> dict[str, str]:
    """The comment on the line of each key, by dotted key inside the file."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in text.splitlines():
        match = re.match(r"( *)([\w.]+):(.*)$", line)
        if match is None:
            continue
        indent, key, rest = match.groups()
        path = [*path[: len(indent) // 2], key]
        comment = re.search(r"(?:^|\s)#\s*(.*)$", rest)
        if comment is not None:
            found[".".join(path)] = comment.group(1)
    return found


def _first_comment(text: str) -> str:
    """The comment at the top of a file, in one line, without Hydra's directives; indented commands become code."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            words = line.lstrip("#").strip()
            lines.append(f"`{words}`" if line.startswith("#   ") else words)
    return " ".join(lines)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    from darts_pl.tasks import TASKS  # registers all components and sections

    assert TASKS
    inside = Path(__file__).parents[2] / "conf"
    print(reference(inside if inside.is_dir() else Path(__file__).parents[3] / "conf"), end="")
