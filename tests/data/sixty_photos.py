"""Sixty photos in three folders, as a user may have them: blanks and umlauts in names, several kinds of files, and a
damaged one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

#: The class folders.
CLASSES = ("blaue Blumen", "gelbe Äpfel", "graue Türme")
#: The file that is cut off in the middle.
DAMAGED = "gelbe Äpfel/Foto 7 (Kopie).jpg"


def write_sixty_photos(folder: Path, side: int = 240, per_class: int = 20) -> Path:
    """`folder` with `per_class` photos for each of `CLASSES`; returns it.

    Among them are a PNG with transparency, a grey JPEG, photos that EXIF rotates, and `DAMAGED`.

    Args:
        folder: made where it is missing.
        side: shorter side of a photo in pixels.
        per_class: photos in each folder, at least 8.
    """
    draws = np.random.default_rng(16)
    for label, name in enumerate(CLASSES):
        inside = folder / name
        inside.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            _save(_photo(label, side, draws), inside, number)
    damaged = folder / DAMAGED
    whole = folder / CLASSES[1] / "Foto 7.jpg"
    content = whole.read_bytes()
    whole.unlink()
    damaged.write_bytes(content[: len(content) // 2])
    return folder


def _photo(label: int, side: int, draws: np.random.Generator) -> Image.Image:
    """A noisy background with some shapes of the class: circles of petals, discs or upright bars."""
    width, height = side + int(draws.integers(0, side // 3)), side
    noise = draws.integers(60, 190, (height // 8, width // 8, 3)).astype(np.uint8)
    photo = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(photo)
    for _ in range(int(draws.integers(2, 5))):
        x, y = int(draws.integers(0, width)), int(draws.integers(0, height))
        size = int(draws.integers(side // 8, side // 4))
        shade = int(draws.integers(-30, 30))
        if label == 0:
            for turn in np.linspace(0, 2 * np.pi, 7)[:-1]:
                px, py = x + size * 0.6 * np.cos(turn), y + size * 0.6 * np.sin(turn)
                pen.ellipse((px - size / 3, py - size / 3, px + size / 3, py + size / 3), fill=(60, 70, 200 + shade))
        elif label == 1:
            pen.ellipse((x - size, y - size, x + size, y + size), fill=(220 + shade, 200 + shade, 40))
        else:
            pen.rectangle((x - size / 3, y - 2 * size, x + size / 3, y + 2 * size), fill=(120 + shade,) * 3)
    return photo


def _save(photo: Image.Image, folder: Path, number: int) -> None:
    name = folder / f"Foto {number}"
    if number == 3:
        clear = photo.convert("RGBA")
        alpha = Image.new("L", photo.size, 255)
        ImageDraw.Draw(alpha).ellipse((0, 0, 40, 40), fill=0)
        clear.putalpha(alpha)
        clear.save(name.with_suffix(".png"))
    elif number == 4:
        photo.convert("L").save(name.with_suffix(".jpg"))
    elif number == 5:
        exif = Image.Exif()
        exif[0x0112] = 6
        photo.transpose(Image.Transpose.ROTATE_90).save(name.with_suffix(".JPG"), exif=exif)
    else:
        photo.save(name.with_suffix(".jpg"), quality=90)
