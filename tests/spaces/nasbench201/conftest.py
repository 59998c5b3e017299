"""The recordings of the NAS-Bench-201 space, and the largest error that each of them showed."""

from collections.abc import Iterator

import pytest

from tests.recordings import FOLDER, Agreement

#: By the name of a test's argument, the pattern of the files it runs over.
PATTERNS = {
    "darts_file": "nb201_supernet*.pt",
    "gdas_file": "gdas_nb201_supernet*.pt",
    "drnas_file": "drnas_nb201_supernet*.pt",
    "final_file": "nb201_final*.pt",
    "genotypes_file": "*nb201_genotypes*.json",
    "gdas_genotypes_file": "gdas_nb201_genotypes*.json",
    "sizes_file": "nb201_genotypes*.json",
}

_agreement = Agreement(1e-10)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for argument, pattern in PATTERNS.items():
        if argument in metafunc.fixturenames:
            found = sorted({*FOLDER.glob(pattern), *(FOLDER / "family").glob(pattern)})
            metafunc.parametrize(argument, found, ids=lambda path: path.stem)


@pytest.fixture
def agrees() -> Agreement:
    """Asserts that a number or tensor is the recorded one, and keeps the error for the summary."""
    return _agreement


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    _agreement.write(terminalreporter, "largest relative error against recorded numbers, NAS-Bench-201")
