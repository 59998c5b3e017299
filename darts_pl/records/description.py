"""What a trained network is and what it reads, as plain values: kept in its checkpoint, its folder and its exports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype, parse

#: The file in a run's folder.
DESCRIPTION = "network.json"
#: Key in a checkpoint.
DESCRIPTION_KEY = "description"
#: Of the plain form; a newer one is refused.
VERSION = 1

CLASSIFICATION, LANGUAGE = "image-classification", "language-modelling"


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """The images that a network was trained on, and how task=test prepares them.

    None = not known, as of networks that an older version trained.

    Args:
        channels, height, width: of what the network reads.
        mean, std: per channel, in units of the full pixel range.
        photos: whether these are photos of any size; otherwise arrays of images that all have one size.
        resize: of photos, the shorter side in pixels before the centre crop.
        layout: of arrays with channels: "nhwc", "nchw", or "auto", the one that the shape allows.
    """

    channels: int
    height: int | None = None
    width: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    photos: bool = False
    resize: int | None = None
    layout: str = "auto"

    @property
    def size(self) -> int | None:
        """Side of the crop of a photo, which is square."""
        return self.height

    @property
    def missing(self) -> list[str]:
        """What is not known but needed to prepare an image."""
        found = ["size"] if self.height is None or self.width is None or (self.photos and self.resize is None) else []
        return found + [name for name in ("mean", "std") if getattr(self, name) is None]


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """The words that a network was trained on.

    Args:
        words: every word, by its number; None = not known.
        splitting: how a line becomes words, a name in `darts_pl.data.text.words.SPLITTINGS`.
    """

    words: tuple[str, ...] | None = None
    splitting: str = "white_space"

    @property
    def missing(self) -> list[str]:
        """What is not known but needed to read a text."""
        return ["vocabulary"] if self.words is None else []


@dataclass(frozen=True, kw_only=True)
class NetworkDescription:
    """A trained network.

    Args:
        genotype: what it was built from.
        input: what it reads.
        data: name of the data that it was trained on.
        class_names: one per class; None where the classes are known by numbers only.
        why_numbers: the reason where they are.
    """

    genotype: Genotype
    input: ImageInput | TextInput
    data: str | None = None
    class_names: tuple[str, ...] | None = None
    why_numbers: str | None = None

    @property
    def task(self) -> str:
        """What the network does: `CLASSIFICATION` or `LANGUAGE`."""
        return CLASSIFICATION if isinstance(self.input, ImageInput) else LANGUAGE

    def to_plain(self) -> dict[str, Any]:
        """The same as lists, dictionaries, texts and numbers, which JSON has."""
        found = {
            "version": VERSION,
            "task": self.task,
            "data": self.data,
            "genotype": json.loads(self.genotype.to_json()),
            "input": asdict(self.input),
        }
        if self.task == CLASSIFICATION:
            found |= {"class_names": self.class_names, "why_numbers": self.why_numbers}
        plain: dict[str, Any] = json.loads(json.dumps(found))
        return plain

    def write(self, folder: Path) -> None:
        """Write `network.json` into the folder of a run."""
        atomic.write(folder / DESCRIPTION, json.dumps(self.to_plain(), indent=2, ensure_ascii=False) + "\n")


def from_plain(found: Any, place: str) -> NetworkDescription:
    """The description in a plain form.

    Args:
        found: as `NetworkDescription.to_plain` gave it.
        place: where it was found, for messages.

    Raises:
        UserError: if it is none, or was written by a newer version.
    """
    if not isinstance(found, Mapping) or not isinstance(found.get("version"), int):
        raise UserError(f"{place}: holds no description of a network")
    if found["version"] > VERSION:
        raise UserError(f"{place}: written by a newer version of darts_pl; update it: pip install -U darts-pl")
    try:
        given = dict(found["input"])
        genotype = parse(json.dumps(found["genotype"]))
        if found["task"] == LANGUAGE:
            words = given.pop("words")
            text = TextInput(words=None if words is None else tuple(map(str, words)), **given)
            return NetworkDescription(genotype=genotype, input=text, data=found["data"])
        for name in ("mean", "std"):
            given[name] = None if given[name] is None else tuple(map(float, given[name]))
        names = found["class_names"]
        return NetworkDescription(
            genotype=genotype,
            input=ImageInput(**given),
            data=found["data"],
            class_names=None if names is None else tuple(map(str, names)),
            why_numbers=found.get("why_numbers"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:80]
        raise UserError(f"{place}: a damaged description of a network ({type(error).__name__}: {reason})") from None


def read_description(folder: Path) -> NetworkDescription | None:
    """What `network.json` in a run's folder says; None where there is no such file.

    Raises:
        UserError: if the file is damaged.
    """
    file = folder / DESCRIPTION
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(f"{file}: damaged; remove it to read what the checkpoint says") from None
    return from_plain(found, str(file))
