"""Photos in folders."""

import pytest

from tests.data.photo_files import CLASSES, write


@pytest.fixture
def folder(tmp_path):
    """Eight training and four test photos of each class."""
    for label, name in enumerate(CLASSES):
        for split, count in (("train", 8), ("val", 4)):
            for number in range(count):
                write(tmp_path / split / name / f"{number}.png", seed=100 * label + number)
    return tmp_path
