"""Which recorded files are compared, and the largest error that each of them showed."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.recordings import FOLDER, Agreement

#: Largest max|difference| / max|recorded| that counts as equal.
TOLERANCE = 1e-6

_agreement = Agreement(TOLERANCE)


@functools.lru_cache(maxsize=1)
def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@functools.cache
def describe(path: Path) -> tuple[frozenset[str], str | None]:
    """The keys of a file's dict, and the space that it names."""
    recorded = read(path)
    return frozenset(recorded), recorded.get("space")


def matching(pattern: str, *, present: tuple[str, ...] = (), absent: tuple[str, ...] = ()) -> list[Path]:
    """The files of that name whose dict has the keys `present` and lacks the keys `absent`."""
    found = []
    for path in sorted(FOLDER.glob(pattern)):
        keys, _ = describe(path)
        if keys >= set(present) and not keys & set(absent):
            found.append(path)
    return found


#: By the name of a test's argument, the files it runs over.
KINDS: dict[str, Callable[[], list[Path]]] = {
    "supernet_file": lambda: matching("cnn_*.pt", present=("state_dict", "alphas_normal"), absent=("batches", "after")),
    "supernet_state_file": lambda: matching("cnn_*.pt", present=("state_dict",)),
    "genotypes_file": lambda: sorted(FOLDER.glob("cnn_*.json")),
    "rnn_supernet_file": lambda: matching("rnn_*.pt", present=("state_dict", "alphas"), absent=("batches", "after")),
    "rnn_genotypes_file": lambda: sorted(FOLDER.glob("rnn_*.json")),
    "language_model_file": lambda: matching("rnn_*.pt", present=("state_dict", "arch")),
    "pc_darts_file": lambda: matching("family/pcdarts_supernet*.pt", present=("state_dict",)),
    "pc_darts_genotypes_file": lambda: sorted(FOLDER.glob("family/pcdarts_genotypes*.json")),
    "gdas_file": lambda: [
        path for path in matching("family/gdas_*.pt", present=("draws",)) if describe(path)[1] in ("nasnet", "frc")
    ],
    "gdas_nasbench201_file": lambda: [
        path for path in matching("family/gdas_*.pt", present=("draws",)) if describe(path)[1] == "nb201"
    ],
    "gdas_genotypes_file": lambda: sorted(FOLDER.glob("family/gdas_genotypes*.json")),
    "drnas_file": lambda: matching("family/drnas_*.pt", present=("mask_normal",)),
    "drnas_wider_file": lambda: matching("family/drnas_*.pt", present=("k_after",)),
    "drnas_genotypes_file": lambda: sorted(FOLDER.glob("family/drnas_genotypes*.json")),
    "darts_minus_file": lambda: matching("family/dartsminus_*.pt", present=("by_beta",)),
    "fair_darts_file": lambda: matching("family/fairdarts_*.pt", present=("state_dict", "zero_one_loss")),
    "fair_darts_final_file": lambda: matching("family/fairdarts_*.pt", present=("nets",)),
    "fair_darts_genotypes_file": lambda: sorted(FOLDER.glob("family/fairdarts_genotypes*.json")),
    "p_darts_file": lambda: matching("family/pdarts_*.pt", present=("dropout_keep",)),
    "p_darts_stages_file": lambda: sorted(FOLDER.glob("family/pdarts_stages*.json")),
    "hessian_file": lambda: matching("family/*.pt", present=("hessian_plus_weight_decay",)),
    "sdarts_file": lambda: matching("family/sdarts*.pt", present=("attacks",)),
    "stop_file": lambda: sorted(FOLDER.glob("family/rdarts_stop*.json")),
    "oles_file": lambda: matching("family/oles*.pt", present=("as_in_code",)),
    "oles_genotypes_file": lambda: sorted(FOLDER.glob("family/oles_genotypes*.json")),
    "r_darts_genotypes_file": lambda: sorted(FOLDER.glob("family/rdarts_genotypes*.json")),
    "noise_file": lambda: matching("family/rdarts_*.pt", present=("noise",)),
    "perturbation_file": lambda: sorted(FOLDER.glob("perturbation_*.pt")),
    "network_file": lambda: [
        path for kind in ("cifar", "imagenet") for path in matching(f"{kind}_*.pt", present=("state_dict", "arch"))
    ],
    "published_cells_file": lambda: sorted(FOLDER.glob("family/published_cells.json")),
}


@functools.cache
def files_of(argument: str) -> list[Path]:
    """The files that a test with this argument runs over."""
    return KINDS[argument]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for argument in KINDS:
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, files_of(argument), ids=lambda path: path.stem, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A file need not hold every quantity: it is not combined with the tests of those that it lacks."""
    lacking = [item for item in items if not _holds_what_is_read(item)]
    config.hook.pytest_deselected(items=lacking)
    items[:] = [item for item in items if item not in lacking]


def _holds_what_is_read(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("quantities")
    if marker is None or not isinstance(item, pytest.Function):
        return True
    arguments = item.callspec.params
    keys = {name.format(**arguments) for name in marker.args}
    return all(keys <= describe(arguments[name])[0] for name in arguments.keys() & KINDS.keys())


@pytest.fixture(scope="session")
def recorded_in() -> Callable[[Path], dict[str, Any]]:
    """Reads a recorded file."""
    return read


@pytest.fixture(scope="session")
def agrees() -> Agreement:
    """Asserts that a tensor is the recorded one, and keeps the error for the summary."""
    return _agreement


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    _agreement.write(terminalreporter, "largest relative error against recorded numbers")
