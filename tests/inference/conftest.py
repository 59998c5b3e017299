"""Tiny trainings of every kind, and what task=predict says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tasks.conftest import finished

SMALL = ["train.epochs=1", "train.auxiliary_weight=0", "train.cutout=0", "train.drop_path=0"]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training on arrays with names."""
    network = ["genotype=darts_v1", "data=digits", "train.layers=3", "train.init_channels=2", "train.batch_size=128"]
    return finished(tmp_path_factory.mktemp("digits") / "run", "task=retrain", *network, *SMALL)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photos in three classes, of several sizes and modes, one turned by its EXIF tag, in train/ and val/."""
    draw = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 8), ("val", 4)):
        for name, level in (("a cat", 0), ("Bär", 80), ("dog", 155)):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                height, width = draw.integers(10, 40, 2)
                pixels = (level + draw.integers(0, 100, (height, width, 3))).astype(np.uint8)
                mode, ending = (("RGB", "jpg"), ("L", "jpg"), ("RGBA", "png"), ("CMYK", "jpg"))[number % 4]
                exif = Image.Exif()
                exif[274] = 6 if number == 0 else 1
                photo = Image.fromarray(pixels).convert(mode)
                if mode == "RGBA":
                    photo.putalpha(128)
                photo.save(root / split / name / f"{number}.{ending}", exif=exif)
    return root


@pytest.fixture(scope="session")
def photo_run(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """The folder of a training on these photos."""
    network = ["genotype=darts_v2", "train.layers=2", "train.init_channels=4", "train.batch_size=8", *SMALL]
    data = ["data=image_folder", f"data.path={photos}", "data.size=16", "data.resize=20", "data.workers=0"]
    return finished(tmp_path_factory.mktemp("photo_run") / "run", "task=retrain", *network, *data)


@pytest.fixture(scope="session")
def own_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = np.random.default_rng(0)
    lines = [" ".join(f"w{word}" for word in draw.integers(0, 20, 7)) for _ in range(150)]
    file = tmp_path_factory.mktemp("text") / "own.txt"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def text_run(tmp_path_factory: pytest.TempPathFactory, own_text: Path) -> Path:
    """The folder of a training of a language model."""
    network = ["genotype=darts_v2_rnn", "train.units=6", "train.batch_size=8", "train.epochs=1", "train.bptt=20"]
    data = ["data=text", f"data.path={own_text}", "preset=none"]
    return finished(tmp_path_factory.mktemp("text_run") / "run", "task=retrain", *network, *data)
