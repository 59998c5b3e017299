"""Photos that tests write, and settings to read them."""

import numpy as np
from PIL import Image

from darts_pl.data import Loading, PhotoSettings

CLASSES = ("ant", "bee", "cat")


def write(path, size=(40, 30), mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)


def settings(**changes):
    """The section `data` and what a task says of batches, each with what of `changes` belongs to it."""
    loading = {"batch_size": 4, "seed": 0, "train_portion": 0.5}
    plain = {"name": "own", "path": None, "batch_size": None, "stem": "imagenet"}
    plain |= {"eval_batch_size": 5, "mean": [0.5] * 3, "std": [0.25] * 3, "fraction": 1.0, "size": 16, "resize": 20}
    plain |= {"crop_scale": 0.08, "flip": True, "color_jitter": [0.4, 0.4, 0.4, 0.2], "workers": 0}
    plain |= {"split": "stratified", "split_seed": 0, "test_fraction": 0.2}
    others = {key: changes.pop(key) for key in list(changes) if key in Loading.__dataclass_fields__}
    return PhotoSettings(**{**plain, **changes}), Loading(**{**loading, **others})
