"""Which preset of `conf/preset/` suits small data that a command names.

A preset replaces values of the papers' recipes, which are made for 50,000 images or more. Whatever the command gives
overrides it, and `preset=none` leaves the recipes as they are.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from omegaconf import OmegaConf

from darts_pl.command_line.group_files import config_folder, value_in
from darts_pl.command_line.run_settings import choices_of_continued

#: Data of the user's own, which can have any size; the others are benchmarks with recipes.
OWN_IMAGES, OWN_PHOTOS, OWN_TEXT = ("npz",), ("image_folder", "imagenet"), ("text",)
#: Up to so many images are "few", and "some".
FEW, SOME = 500, 5_000
#: Up to this shorter side in pixels images are small.
SMALL_SIDE = 80
#: Up to so many bytes a text is short.
SHORT_TEXT = 3_000_000
#: The preset of a short text; its keys are those of a recurrent search.
TEXT_PRESET = "short_text"
#: The search whose data are text.
TEXT_SEARCH = "rnn"
#: Photos whose header is read.
SAMPLED = 16
#: A command with one of these keys gets a recipe from elsewhere.
WITH_OWN_RECIPE = ("experiment", "run", "checkpoint", "preset", "train")


@dataclass(frozen=True)
class Amount:
    """How many images there are.

    Args:
        images: in all splits.
        training: in the training split.
        side: shorter side in pixels, the median over some of them.
        photos: whether they are files in folders.
    """

    images: int
    training: int
    side: float
    photos: bool

    @property
    def preset(self) -> str | None:
        """The preset that suits them, if any does."""
        if self.images > SOME:
            return None
        number = "few" if self.images <= FEW else "some"
        if not self.photos:
            return f"{number}_images" if self.side <= SMALL_SIDE else f"{number}_large_images"
        return f"{number}_small_photos" if self.side <= SMALL_SIDE else f"{number}_photos"


def preset_for(arguments: Sequence[str]) -> list[str]:
    """Overrides such as ``preset=few_photos`` for the data that the arguments name, with batch sizes that are smaller
    than those of the preset where a split has fewer images; empty where no preset suits or the command chooses.

    A command that continues a run gets the preset that this run has.
    """
    if any(_gives(arguments, key) for key in WITH_OWN_RECIPE):
        return []
    continued = choices_of_continued(arguments)
    if continued is not None:
        before = continued.get("preset", "none")
        if before == "none" or not _exists(before):
            return []
        added = [f"search={TEXT_SEARCH}"] if before == TEXT_PRESET and not _gives(arguments, "search") else []
        return [*added, f"preset={before}", *_batches(arguments, before)]
    name, path, search = (value_in(arguments, key) for key in ("data", "data.path", "search"))
    if path is None:
        return []
    if name in OWN_TEXT:
        file = Path(path).expanduser()
        if not file.is_file() or file.stat().st_size > SHORT_TEXT:
            return []
        if search is None and value_in(arguments, "task") == "retrain":
            return [f"search={TEXT_SEARCH}", f"preset={TEXT_PRESET}"]
        return [f"preset={TEXT_PRESET}"] if search == TEXT_SEARCH else []
    if search not in (None, "cnn"):
        return []
    amount = amount_of(name or "", path)
    preset = None if amount is None else amount.preset
    return [] if preset is None else [f"preset={preset}", *_batches(arguments, preset)]


def amount_of(name: str, path: str) -> Amount | None:
    """How many images `data=name data.path=path` holds; None where it is no data of the user's own, or cannot be
    read: the run then says why.

    Args:
        name: of the data.
        path: of a file or folder.
    """
    place = Path(path).expanduser()
    try:
        if name in OWN_IMAGES:
            return _amount_in_file(place)
        if name in OWN_PHOTOS and place.is_dir():
            return _amount_in_folder(place)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, SyntaxError, EOFError):
        pass
    return None


def _amount_in_file(file: Path) -> Amount | None:
    with zipfile.ZipFile(file) as archive:
        shapes = {name.removesuffix(".npy"): _shape(archive, name) for name in archive.namelist()}
    train = shapes.get("x_train") or shapes.get("x")
    if train is None or len(train) < 3:
        return None
    test = shapes.get("x_test")
    training = train[0] if test is not None else train[0] - round(0.2 * train[0])
    height, width = train[1:3] if len(train) == 3 or train[-1] <= 4 else train[2:4]
    return Amount(train[0] + (test[0] if test else 0), training, min(height, width), photos=False)


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...] | None:
    """The shape in the header of an array, whose content is not read."""
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return tuple(read(stream)[0])


def _amount_in_folder(folder: Path) -> Amount | None:
    train = folder / "train"
    test = next((folder / name for name in ("val", "test") if (folder / name).is_dir()), None)
    if train.is_dir() and test is not None:
        photos = list(_photos(train))
        training, images = len(photos), len(photos) + sum(1 for _ in _photos(test))
    else:
        photos = list(_photos(train if train.is_dir() and len(list(folder.iterdir())) == 1 else folder))
        images, training = len(photos), len(photos) - round(0.2 * len(photos))
    sides = [side for photo in photos[:: max(len(photos) // SAMPLED, 1)] if (side := _side(photo)) is not None]
    return Amount(images, training, median(sides), photos=True) if sides else None


def _photos(folder: Path) -> Iterator[str]:
    """The photos in the class folders of a split, sorted; no more than decide."""
    from darts_pl.data.photos.folders import ENDINGS  # imported here so that --help and tab completion stay quick

    count = 0
    for here, inside, files in os.walk(folder, followlinks=True):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(ENDINGS) and not name.startswith(".") and here != str(folder):
                yield os.path.join(here, name)
                count += 1
                if count > SOME:
                    return


def _side(photo: str) -> int | None:
    from PIL import Image

    try:
        with Image.open(photo) as opened:
            return min(opened.size)
    except (OSError, SyntaxError, ValueError):
        return None


def _batches(arguments: Sequence[str], preset: str) -> list[str]:
    """Batch sizes below those of a preset, where it has more images per batch than there are; not where the command
    gives a batch size."""
    name, path = value_in(arguments, "data"), value_in(arguments, "data.path")
    amount = None if name is None or path is None else amount_of(name, path)
    if amount is None or _gives(arguments, "data.batch_size"):
        return []
    result = []
    for section, most in (("search", _smaller_half(arguments, amount.training)), ("train", amount.training)):
        batch = _value(preset, f"{section}.batch_size")
        if most < batch and not _gives(arguments, f"{section}.batch_size"):
            result.append(f"{section}.batch_size={max(most, 1)}")
    return result


def _smaller_half(arguments: Sequence[str], training: int) -> int:
    given = next((one.partition("=")[2] for one in arguments if one.startswith("search.train_portion=")), "0.5")
    try:
        train = int(float(given) * training)
    except ValueError:
        return training
    return min(train, training - train)


def _value(preset: str, key: str) -> int:
    """An integer of a preset or of the one that it is based on."""
    found = OmegaConf.load(config_folder() / "preset" / f"{preset}.yaml")
    own = OmegaConf.select(found, key)
    return int(own) if own is not None else _value(found.defaults[0], key)


def _exists(preset: str) -> bool:
    return (config_folder() / "preset" / f"{preset}.yaml").is_file()


def _gives(arguments: Sequence[str], key: str) -> bool:
    return any(argument.lstrip("+").startswith(f"{key}=") for argument in arguments)
