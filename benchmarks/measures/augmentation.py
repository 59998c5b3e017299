"""Random crop, flip and normalisation: a whole batch at once, beside torchvision's one image at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.measures.steps import Machine
from benchmarks.table import LIMITS, Result
from benchmarks.timing import alternate, ratio

IMAGES, SIDE = 2048, 32
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
#: Batches per round.
BATCHES = 20


def pixels() -> np.ndarray:
    """Random images, uint8 [IMAGES, SIDE, SIDE, 3]."""
    return np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)


def augmented(batch: int, device: str = "cpu", stream: str = "train") -> Any:
    """Our batches, a function of (epoch, index)."""
    from darts_pl.data import Augmentation, AugmentedBatches, IndexOrder, ResidentImages

    images = ResidentImages(torch.from_numpy(pixels()), torch.arange(IMAGES) % 10, MEAN, STD, device)
    return AugmentedBatches(images, IndexOrder(IMAGES, batch, 0, stream), Augmentation(4, flip=True))


def augmentation(machine: Machine) -> Iterator[Result]:
    """Images per second of one core over those of torchvision's transforms on PIL images, stacked to a batch."""
    rows = LIMITS["augmentation 64"], LIMITS["augmentation 16"]
    if machine.device != "cpu":
        for limit in rows:
            yield Result(limit, left_out="torchvision's transforms of PIL images run on the CPU")
        return
    from PIL import Image
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.RandomCrop(SIDE, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    pictures = [Image.fromarray(array) for array in pixels()]
    for limit, batch in zip(rows, (64, 16), strict=True):
        ours = augmented(batch)
        order = torch.randperm(IMAGES).tolist()

        def whole(ours: Any = ours) -> None:
            for index in range(BATCHES):
                ours(0, index)

        def one_by_one(order: list[int] = order, batch: int = batch) -> None:
            for index in range(BATCHES):
                torch.stack([transform(pictures[picked]) for picked in order[index * batch : (index + 1) * batch]])

        torch.set_num_threads(1)  # as torchvision's
        whole()
        one_by_one()
        times = alternate({"ours": machine.clock.of(whole), "theirs": machine.clock.of(one_by_one)}, 9)
        torch.set_num_threads(machine.threads)
        count = BATCHES * batch
        rates = [count / sorted(times[name])[4] for name in ("ours", "theirs")]
        yield Result(limit, ratio(times["theirs"], times["ours"]), *rates, "images/s")
