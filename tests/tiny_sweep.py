"""The smallest searches on made-up images, for tests that need many of them."""

from pathlib import Path

import numpy as np

#: A search of two steps on images of 8x8 pixels.
TINY = [
    "data=npz", "order=first", "search.layers=3", "search.init_channels=2", "search.epochs=1",
    "search.batch_size=10", "search.candidates=[none,skip_connect,avg_pool_3x3]", "search.nodes=2",
]  # fmt: skip


def write_images(path: Path, train: int = 40) -> Path:
    """`train` training and 8 test images of 8x8 pixels in 4 classes."""
    draw = np.random.default_rng(0)
    np.savez(
        path,
        x_train=draw.integers(0, 256, (train, 8, 8, 3), dtype=np.uint8),
        y_train=np.arange(train) % 4,
        x_test=draw.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8),
        y_test=np.arange(8) % 4,
    )
    return path
