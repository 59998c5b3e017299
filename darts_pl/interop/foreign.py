"""What a file is that is not a checkpoint: a web page, a pointer to a file, an archive, a text."""

from __future__ import annotations

import codecs
import html
import json
import re

#: How many bytes from the start of a file `describe_foreign` is given.
HEAD = 4096

_DOWNLOAD = "; download the file again"

#: First bytes -> what the file is, and what to do.
_BINARY: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ\x00", "compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\x93NUMPY", "a NumPy array, not a checkpoint"),
    (b"\x89HDF", "an HDF5 file, not a checkpoint of PyTorch"),
    (b"GGUF", "a GGUF file, not a checkpoint of PyTorch"),
    (b"%PDF", "a PDF document, not a checkpoint"),
    (b"\x89PNG", "a PNG image, not a checkpoint"),
)

#: Pattern of the first characters of a text -> what the file is, and what to do.
_POINTERS: tuple[tuple[str, str], ...] = (
    (
        r"version https://(git-lfs|hawser)\.github\.com/spec",
        "a Git LFS pointer, not the file that it points to; run 'git lfs pull'",
    ),
    (r"\S*[/\\]annex[/\\]objects[/\\]", "a git-annex pointer, not the file that it points to; run 'git annex get'"),
    (r"outs:\s", "a DVC pointer, not the file that it points to; run 'dvc pull'"),
)

_PAGE = re.compile(r"<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def shorten(text: str, length: int = 60) -> str:
    """`text` in quotes on one line, cut after `length` characters."""
    text = " ".join(text.split())
    return repr(text if len(text) <= length else text[: length - 3] + "...")


def describe_foreign(head: bytes, size: int) -> str | None:
    """What a file is and what to do instead, as the end of the sentence "FILE is ..."; None if it may be a checkpoint.

    Args:
        head: the first `HEAD` bytes of the file, or all of them.
        size: of the whole file in bytes.
    """
    if size == 0:
        return "empty" + _DOWNLOAD
    if not head.strip(b"\0"):
        return "filled with zero bytes, as an interrupted download leaves it" + _DOWNLOAD
    for magic, meaning in _BINARY:
        if head.startswith(magic):
            return meaning
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    text = _as_text(head)
    return None if text is None else _describe_text(text.strip(), size <= len(head))


def _as_text(head: bytes) -> str | None:
    """The characters of a text file; None if it is binary."""
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
    text = head.decode(encoding, errors="replace").rstrip("\ufffd")  # the last character may be cut in two
    odd = sum(character == "\ufffd" or (character < " " and character not in "\t\n\r\f\x1b") for character in text)
    if "\0" in text or odd > len(text) // 20:  # a page in an old encoding is still a page
        return None
    return text


def _describe_text(text: str, whole: bool) -> str:
    for pattern, meaning in _POINTERS:
        if re.match(pattern, text):
            return meaning
    if _PAGE.search(text):
        title = _TITLE.search(text)
        named = f" titled {shorten(html.unescape(title.group(1)))}" if title else ""
        return f"a web page (HTML){named}, not a checkpoint; open the address in a browser and download the file itself"
    if text.startswith("<"):
        return f"an XML text that begins {shorten(text)}, not a checkpoint{_DOWNLOAD}"
    if text[:1] in ("{", "["):
        return f"a JSON text that {_said_by_json(text, whole)}, not a checkpoint{_DOWNLOAD}"
    return f"a text that begins {shorten(text)}, not a checkpoint{_DOWNLOAD}"


def _said_by_json(text: str, whole: bool) -> str:
    try:
        found = json.loads(text) if whole else None
    except (ValueError, RecursionError):
        found = None
    for key in ("message", "error", "detail"):
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return f"says {shorten(found[key])}"
    return f"begins {shorten(text)}"
