"""What every test can rely on."""

import gc
import os
import random
from collections.abc import Callable, Iterator
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


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The path of a data set in the folder that DARTS_DATA names. The project ships no real data, so
    where it is absent the test that asks for it is skipped."""

    def find(name: str) -> Path:
        folder = os.environ.get("DARTS_DATA")
        path = Path(folder or "") / name
        if not folder or not path.exists():
            # The project may not ship real data. Who has it names its folder, as .ci/run does, and these tests run.
            pytest.skip(reason="no such data set in DARTS_DATA")  # nothing to read, and nothing may be downloaded here
        return path

    return find
