"""A tiny protocol that was never stopped, which the tests compare with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tasks.conftest import finished
from tests.tasks.protocol.parts import SMALL
from tests.tiny_sweep import write_images


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images") / "tiny.npz")


@pytest.fixture(scope="session")
def done(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A protocol that was never stopped."""
    return finished(tmp_path_factory.mktemp("done") / "run", *SMALL, f"data.path={images}")
