"""How an exported network is called: what goes in, what comes out, in every format alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.inference import ImageClassifier, Loaded, TextModel
from darts_pl.spaces import LanguageModel


@dataclass(frozen=True)
class Input:
    """One input of an exported network.

    Args:
        shape: without the batch, which comes first.
        dtype: uint8, int64 or float32.
        meaning: for the user, such as "normalised as in training".
        below: numbers are smaller than this, of inputs that are numbers of words.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    meaning: str = ""
    below: int = 256

    def example(self, batch: int, draw: torch.Generator) -> Tensor:
        """Random values for a batch of that size."""
        if self.dtype.is_floating_point:
            return torch.randn(batch, *self.shape, generator=draw)
        return torch.randint(self.below, (batch, *self.shape), generator=draw).to(self.dtype)

    @property
    def kind(self) -> str:
        """The type and shape, such as "float32 [batch, 3, 32, 32]"."""
        return f"{str(self.dtype).removeprefix('torch.')} [{', '.join(map(str, ('batch', *self.shape)))}]"


@dataclass(frozen=True)
class Call:
    """How an exported network is called.

    Args:
        network: takes tensors and returns one or several, all with the batch as their first dimension.
        inputs: by name.
        outputs: names.
    """

    network: nn.Module
    inputs: Mapping[str, Input]
    outputs: tuple[str, ...]

    def example(self, batch: int) -> tuple[Tensor, ...]:
        """Inputs for a batch of that size."""
        draw = torch.Generator().manual_seed(0)
        return tuple(one.example(batch, draw) for one in self.inputs.values())

    def result(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What PyTorch computes."""
        return called(self.network, inputs)


def called(network: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The outputs of a network as a tuple."""
    with torch.no_grad():
        found = network(*inputs)
    return found if isinstance(found, tuple) else (found,)


class ImageLogits(nn.Module):
    """A classifier for normalised images.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of images [N, C, H, W]."""
        logits: Tensor = self.network(images)
        return logits


class LanguageStep(nn.Module):
    """A language model for one step of many texts side by side.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: LanguageModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, words: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, V] of the next word and the hidden state [B, H] after it, of words [B] and the
        hidden state [B, H] before them, which is zero at the start of a text."""
        sequence = self.network(words.unsqueeze(0), hidden)
        return sequence.logits[0], sequence.outputs[0]


def call_of(model: Loaded, *, preprocessing: bool) -> Call:
    """How a network is called.

    Args:
        model: the network, in float32 on the CPU.
        preprocessing: whether a classifier takes uint8 images [N, H, W, C] and returns probabilities, instead of
            normalised images [N, C, H, W] and logits.

    Raises:
        UserError: if a size that is needed is not known, or a language model is to have preprocessing.
    """
    if isinstance(model, TextModel):
        if preprocessing:
            raise UserError(
                "task.preprocessing=true: a language model reads numbers of words; its words are stored "
                "with it, and format=source turns text into them"
            )
        return _language_call(model)
    image = model.input
    if image.height is None or image.width is None:
        raise UserError(
            f"{model.place}: the size of its images is not stored with this network; name the data that it was "
            "trained on: data=... data.path=..."
        )
    if not preprocessing:
        shape = (image.channels, image.height, image.width)
        inputs = {"images": Input(shape, torch.float32, "normalised as in training")}
        return Call(ImageLogits(model.network), inputs, ("logits",))
    assert model.preparation is not None  # which says what is missing
    meaning = "pixels"
    if image.photos:
        meaning += f", after the shorter side was resized to {image.resize} and the centre cropped"
    inputs = {"images": Input((image.height, image.width, image.channels), torch.uint8, meaning)}
    return Call(model.normalised, inputs, ("probabilities",))


def _language_call(model: TextModel) -> Call:
    network = model.network
    inputs = {
        "words": Input(
            (), torch.int64, "numbers of words, in the order in which they first appear", network.vocabulary
        ),
        "hidden": Input((network.cell.units,), torch.float32, "the state before the words, zero at the start"),
    }
    return Call(LanguageStep(network), inputs, ("logits", "next_hidden"))


def metadata(model: Loaded, call: Call, version: str) -> dict[str, str]:
    """What a file says about its network: texts by key, some of them JSON.

    Args:
        model: the network.
        call: how it is called.
        version: of this package.
    """
    found = {
        "producer": f"darts_pl {version}",
        "description": json.dumps(model.description.to_plain(), ensure_ascii=False),
        "inputs": json.dumps(
            {
                name: {"shape": ["batch", *one.shape], "type": str(one.dtype).removeprefix("torch."), "is": one.meaning}
                for name, one in call.inputs.items()
            }
        ),
        "outputs": json.dumps(list(call.outputs)),
    }
    if isinstance(model, ImageClassifier) and model.class_names is not None:
        found["class_names"] = json.dumps(list(model.class_names), ensure_ascii=False)
    return found
