"""Small searches with loggers, in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb

from darts_pl.cli import main

SMALL = ["data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=1", "search.batch_size=128"]
SMALL += ["search.candidates=[none,skip_connect,max_pool_3x3]", "search.epochs=2", "order=first"]


@pytest.fixture(scope="session")
def search() -> Callable[..., int]:
    """Runs a search of two epochs of six batches; returns its exit status."""

    def run(folder: Path, *arguments: str) -> int:
        return main([*SMALL, *arguments, f"hydra.run.dir={folder}"])

    return run


@pytest.fixture
def fresh_wandb() -> Iterator[None]:
    """W&B reads its environment and settings again, now and after the test."""
    wandb.teardown()
    yield
    wandb.teardown()
