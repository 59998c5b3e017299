"""Genotypes in files: by path, by path and name, and in the folders of runs."""

from __future__ import annotations

import codecs
from pathlib import Path

from darts_pl.errors import UserError
from darts_pl.genotype.cells import Genotype, show_names
from darts_pl.genotype.text import is_text, names_in, parse, parse_name

#: No genotype is in a larger file, but somebody may name a checkpoint.
LARGEST_FILE = 16 * 2**20


def find(wanted: str) -> Genotype | None:
    """The genotype that `wanted` names or is: a file, FILE:NAME, the folder of a search, or a text.

    Returns None if it is none of these.

    Raises:
        UserError: if it is one of these and holds no genotype.
    """
    if _exists(_expanded(wanted)) or _split_name(wanted) is not None:
        return read(wanted)
    return parse(wanted) if is_text(wanted) else None


def read(place: str | Path) -> Genotype:
    """The genotype in a file, of a name in a file (``genotypes.py:DARTS_V2``), or in the folder of a search.

    A ``~`` at the beginning is the home folder.

    Raises:
        UserError: if there is none, or it is not readable as one.
    """
    path, name = _expanded(str(place)), None
    if not _exists(path) and (split := _split_name(str(place))) is not None:
        path, name = split
    if path.is_dir():
        candidates = [path / "genotype.json", path / "search" / "genotype.json"]
        found = [candidate for candidate in candidates if candidate.is_file()]
        if not found:
            raise UserError(f"genotype={path}: the folder holds no genotype.json; name one of a finished search")
        path = found[0]
    text = _text_of(path)
    try:
        if name is not None:
            return parse_name(text, name)
        names = names_in(text) if path.suffix == ".py" else []
        if len(names) > 1:
            raise UserError(
                f"holds {len(names)} genotypes; name one, such as {path.name}:{names[0]} "
                f"(known: {show_names(names, 30)})"
            )
        return parse(text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise UserError(f"genotype={path}: {reason}") from None
    if len(content) > LARGEST_FILE:
        raise UserError(
            f"genotype={path}: larger than {LARGEST_FILE // 2**20} MiB; give the text of the genotype alone"
        )
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"genotype={path}: not a text file") from None


def _expanded(place: str) -> Path:
    try:
        return Path(place).expanduser()
    except (RuntimeError, ValueError):  # ~ of a user who is not known here, a zero byte
        return Path(place)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text that is too long for a path or holds a zero byte
        return False


def _split_name(place: str) -> tuple[Path, str] | None:
    """(file, name) of ``FILE:NAME`` where there is such a file."""
    file, _, name = place.rpartition(":")
    path = _expanded(file)
    return (path, name) if file and name.isidentifier() and _exists(path) and not path.is_dir() else None
