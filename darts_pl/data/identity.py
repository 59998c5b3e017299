"""What a data set is, as plain values that a run keeps and compares: never where it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

#: JSON values: counts, shapes, names of classes, checksums.
Identity = Mapping[str, Any]


class Described(Protocol):
    """A data set that knows its identity: images, photos, a corpus."""

    @property
    def identity(self) -> Identity: ...


def describe(data: Described) -> dict[str, Any]:
    """Kind, classes or vocabulary, and for each split the number of samples and a checksum of content and labels."""
    return dict(data.identity)


def checksum(*parts: Any) -> str:
    """A hash, 16 hexadecimal digits, of texts and of whatever has a contiguous buffer of bytes."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else memoryview(part).cast("B")
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def difference(stored: Identity, present: Identity) -> str | None:
    """What differs between two data sets, in one line; None where nothing does.

    A value that only one of them has is passed over.
    """
    for key in _shared(stored, present):
        found = _split_difference(key, stored, present) or _value_difference(key, stored, present)
        if found:
            return found
    return None


def misfit(stored: Identity, present: Identity) -> str | None:
    """Why a network that was trained on `stored` must not be scored on `present`; None where it may.

    Classes, channels and vocabulary must be the same. Other test samples of the same named classes
    may be scored; where classes have no names but numbers, nothing tells that they mean the same.
    """
    for key in _shared(stored, present, ("kind", "classes", "vocabulary", "channels")):
        found = _value_difference(key, stored, present)
        if found:
            return found
    if _are_named(stored.get("classes")) or "vocabulary" in stored:
        return None
    return other_test(stored, present)


def other_test(stored: Identity, present: Identity) -> str | None:
    """How the test splits differ; None where they are the same."""
    return _split_difference("test", stored, present) if "test" in stored and "test" in present else None


def _shared(stored: Identity, present: Identity, keys: Iterable[str] | None = None) -> list[str]:
    return [key for key in (stored if keys is None else keys) if key in stored and key in present]


def _value_difference(key: str, stored: Identity, present: Identity) -> str | None:
    before, after = stored[key], present[key]
    if before == after:
        return None
    if key == "vocabulary":
        return f"other words ({stored.get('words')}, now {present.get('words')})"
    if key == "classes" and len(before) > 4 and len(before) == len(after):
        place = next(i for i, (one, other) in enumerate(zip(before, after, strict=True)) if one != other)
        return f"class {place} {before[place]}, now {after[place]}"
    return f"{key} {_shown(before)}, now {_shown(after)}"


def _split_difference(key: str, stored: Identity, present: Identity) -> str | None:
    before, after = stored[key], present[key]
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)) or before == after:
        return None
    if before.get("count") != after.get("count"):
        return f"{before.get('count')} samples in the {key} split, now {after.get('count')}"
    return f"other content or labels in the {key} split (checksum {before.get('content')}, now {after.get('content')})"


def _are_named(classes: Any) -> bool:
    return isinstance(classes, list) and not all(str(name).isdecimal() for name in classes)


def _shown(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    texts = [str(one) for one in value]
    return ", ".join(texts[:4]) + (f" and {len(texts) - 4} more" if len(texts) > 4 else "")
