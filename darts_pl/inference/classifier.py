"""A trained image classifier with its preprocessing and the names of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from darts_pl.data.augment import normalize
from darts_pl.data.photos.reading import BrokenPhotoError
from darts_pl.errors import UserError
from darts_pl.inference.preparation import Preparation
from darts_pl.records import ImageInput, NetworkDescription
from darts_pl.spaces import ImageNetwork

#: Images that are computed at once.
BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """What a classifier says about one image.

    Args:
        probabilities: float [classes] on the CPU, of sum 1.
        class_names: one per class; None where the classes are known by numbers only.
    """

    probabilities: Tensor
    class_names: tuple[str, ...] | None = None

    @property
    def number(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @property
    def name(self) -> str:
        """Its name, or its number as text."""
        return self.name_of(self.number)

    @property
    def probability(self) -> float:
        """Of the most probable class."""
        return float(self.probabilities.max())

    def name_of(self, number: int) -> str:
        """The name of a class, or its number as text."""
        return str(number) if self.class_names is None else self.class_names[number]

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Names and probabilities of the most probable classes, at most `count`."""
        values, numbers = self.probabilities.topk(min(count, len(self.probabilities)))
        return [(self.name_of(n), p) for n, p in zip(numbers.tolist(), values.tolist(), strict=True)]

    def __str__(self) -> str:
        return ", ".join(f"{name} {probability:.4f}" for name, probability in self.top())


class Normalised(nn.Module):
    """A network behind its normalisation: uint8 images [N, H, W, C] -> probabilities [N, classes].

    Args:
        network: reads [N, C, H, W].
        mean, std: per channel, in units of the full pixel range.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        x = normalize(images, self.mean, self.std)
        logits = self.network(x.to(next(self.network.parameters()).dtype))
        return torch.softmax(logits, dim=1)


class ImageClassifier(nn.Module):
    """A trained classifier in evaluation mode: `predict` takes photos, paths and arrays.

    A call of the module takes prepared images, uint8 [N, H, W, C] on its device, and returns probabilities
    [N, classes]. `network` alone reads normalised images [N, C, H, W] and returns logits.

    Args:
        network: the final network.
        description: what it reads.
        place: where it comes from, for messages.
    """

    def __init__(self, network: ImageNetwork, description: NetworkDescription, place: str) -> None:
        super().__init__()
        assert isinstance(description.input, ImageInput)
        self.description, self.input, self.place = description, description.input, place
        #: uint8 images [N, H, W, C] -> probabilities; of no use while something is `missing`
        self.normalised = Normalised(network, self.input.mean or (), self.input.std or ())
        self._preparation = None if self.input.missing else Preparation(self.input)
        self.eval()

    @property
    def network(self) -> ImageNetwork:
        """Normalised images [N, C, H, W] -> logits [N, classes]."""
        network = self.normalised.network
        assert isinstance(network, ImageNetwork)
        return network

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """One per class; None where the classes are known by numbers only, see `why_numbers`."""
        return self.description.class_names

    @property
    def why_numbers(self) -> str | None:
        """The reason why the classes have no names."""
        return None if self.class_names is not None else self.description.why_numbers

    @property
    def missing(self) -> list[str]:
        """What a prediction needs and nobody stored: "size", "mean", "std"."""
        return self.input.missing

    @property
    def classes(self) -> int:
        """How many there are."""
        return self.network.classifier.out_features

    @property
    def preparation(self) -> Preparation:
        """From photos and arrays to pixels.

        Raises:
            UserError: if something is missing that it needs.
        """
        if self._preparation is None:
            raise UserError(
                f"{self.place}: {', '.join(self.missing)} of the images that it was trained on are not stored with "
                "this network; give them: darts_pl.load(FILE, size=(H, W), mean=[...], std=[...])"
            )
        return self._preparation

    def forward(self, images: Tensor) -> Tensor:
        assert self.preparation is not None  # which says what is missing
        probabilities: Tensor = self.normalised(images)
        return probabilities

    def predict(self, images: Any) -> Prediction | list[Prediction]:
        """What the network says about an image, or about each of several.

        Args:
            images: the path of a photo; a photo of Pillow; an array or tensor, uint8 or floats in [0, 1], of one
                image [H, W, C] or of several [N, H, W, C] (without C for grey images); or a list of these.

        Returns:
            a `Prediction` for one image, a list of them for several.

        Raises:
            UserError: if a photo cannot be read, an array has another shape, or the preprocessing is not known.
        """
        if isinstance(images, (list, tuple)):
            parts = [self._pixels(one) for one in images]
            return self.predictions(torch.cat(parts)) if parts else []
        found = self.predictions(self._pixels(images))
        several = not isinstance(images, (str, Path, Image.Image)) and self.preparation.holds_several(images.shape)
        return found if several else found[0]

    def predictions(self, pixels: Tensor) -> list[Prediction]:
        """One per image of prepared pixels uint8 [N, H, W, C]."""
        device = next(self.network.parameters()).device
        found: list[Prediction] = []
        with torch.inference_mode():
            for part in pixels.split(BATCH):
                found += [Prediction(one, self.class_names) for one in self(part.to(device)).cpu()]
        return found

    def _pixels(self, image: Any) -> Tensor:
        """uint8 [N, H, W, C]."""
        try:
            if isinstance(image, (str, Path)) and Path(image).is_dir():
                raise UserError(f"{image}: is a folder; give a list of its photos, or use task=predict input={image}")
            if isinstance(image, (str, Path)):
                return self.preparation.file(image)[None]
            if isinstance(image, Image.Image):
                return self.preparation.photo(image)[None]
        except BrokenPhotoError as error:
            raise UserError(str(error)) from None
        return self.preparation.arrays(image)
