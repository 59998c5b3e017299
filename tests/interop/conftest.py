"""Small networks whose checkpoints the tests wrap, damage and read again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from darts_pl import interop
from darts_pl.errors import UserError
from darts_pl.genotype import from_pairs
from darts_pl.problems import ImageProblem, TextProblem
from darts_pl.spaces import Classifier, LanguageModel

PAIRS = [("sep_conv_3x3", 0), ("conv_7x1_1x7", 1), ("skip_connect", 0), ("max_pool_3x3", 2)]
IMAGES = from_pairs("cnn", {name: (PAIRS, [2, 3]) for name in ("normal", "reduce")})
WORDS = from_pairs("rnn", {"recurrent": ([("tanh", 0), ("relu", 1)], [1, 2])})


class Case:
    """A network and its state dict under the authors' names.

    Args:
        state: the state dict.
        load: reads a file and gives the network's state dict under the authors' names.
    """

    def __init__(self, state: dict[str, Tensor], load: Callable[[Path], dict[str, Tensor]]) -> None:
        self.state = state
        self.load = load

    def loads(self, path: Path) -> bool:
        """Whether the file gives exactly the tensors of the state dict."""
        found = self.load(path)
        return found.keys() == self.state.keys() and all(torch.equal(found[key], self.state[key]) for key in found)

    def message(self, path: Path) -> str:
        """The one line that says why the file is refused."""
        with pytest.raises(UserError) as caught:
            self.load(path)
        text = str(caught.value)
        assert len(text.splitlines()) == 1
        assert str(path) in text
        return text


def make_images() -> Case:
    network = Classifier(IMAGES, init_channels=2, layers=3, classes=3)
    return Case(
        interop.export_network(network.state_dict()),
        lambda path: interop.export_network(ImageProblem.load_network(path, IMAGES, torch.float32).state_dict()),
    )


def make_words() -> Case:
    network = LanguageModel(WORDS, vocabulary=7, units=4)
    return Case(
        interop.export_recurrent(network.state_dict()),
        lambda path: interop.export_recurrent(TextProblem.load_network(path, WORDS, torch.float32).state_dict()),
    )


MAKERS = {"images": make_images, "words": make_words}


@pytest.fixture(params=MAKERS)
def case(request: pytest.FixtureRequest) -> Case:
    return MAKERS[request.param]()


@pytest.fixture
def images() -> Case:
    return make_images()


@pytest.fixture
def words() -> Case:
    return make_words()


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Any], Path]:
    """Saves an object by torch.save and gives the path."""

    def save(found: Any, **options: Any) -> Path:
        torch.save(found, tmp_path / "file.pt", **options)
        return tmp_path / "file.pt"

    return save
