"""What every test can rely on."""

import gc
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.composition import quick_composition
from tests.recordings import FOLDER

os.environ["MPLBACKEND"] = "Agg"  # no window
os.environ["WANDB_MODE"] = "offline"  # no account, no network
os.environ["WANDB_SILENT"] = "true"

# The networks of the tests are tiny: a second thread costs more than it brings.
torch.set_num_threads(1)


# Modules and tests are a million objects: the garbage collector looks through them less often, and not at all through
# those that are there before the first test.
gc.set_threshold(20_000, 20, 10)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _quick_composition() -> Iterator[None]:
    with quick_composition():
        yield


@pytest.fixture(scope="session")
def goldens() -> Path:
    """The folder of the recorded reference numbers."""
    return FOLDER


@pytest.fixture(autouse=True)
def _same_start() -> Iterator[None]:
    """Each test starts from one seed and leaves torch's default dtype as it was."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test marked `real_data(NAME)` gets the path of that data set in the folder of DARTS_DATA, if it is there."""
    marker = metafunc.definition.get_closest_marker("real_data")
    if marker is not None:
        path = Path(os.environ.get("DARTS_DATA") or os.devnull) / marker.args[0]
        metafunc.parametrize("real_data", [path] if path.exists() else [], ids=lambda path: path.stem)
