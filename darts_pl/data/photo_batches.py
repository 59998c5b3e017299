"""Batches of photos that worker processes read, as functions of (round, position)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from darts_pl.data.augment import Augmentation, cut_out, normalize
from darts_pl.data.batches import Batch
from darts_pl.data.order import IndexOrder, SequentialOrder, derive_seed
from darts_pl.data.photos import BrokenPhotoError, PhotoList, read_photo
from darts_pl.errors import UserError

#: Which photo, and the seed of what is random about it (None = nothing).
Item = tuple[int, int | None]


class PhotoDataset(Dataset[Any]):
    """Photos as uint8 [size, size, 3], with their labels.

    Args:
        photos: which.
        transform: from a PIL image in RGB to one of the wanted size; it draws from torch's generator.
    """

    def __init__(self, photos: PhotoList, transform: Callable[[Any], Any]) -> None:
        self.photos, self.transform = photos, transform

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, item: Item) -> tuple[Tensor, int] | BrokenPhotoError:
        """(photo, label); an error is returned, not raised, so that it leaves a worker as it is."""
        index, seed = item
        try:
            photo = read_photo(self.photos.paths[index])
        except BrokenPhotoError as error:
            return error
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.default_generator.manual_seed(seed)  # that of the CPU alone
            pixels = v2.functional.pil_to_tensor(self.transform(photo))
        return pixels.permute(1, 2, 0), int(self.photos.labels[index])


def collate(items: list[tuple[Tensor, int] | BrokenPhotoError]) -> tuple[Tensor, Tensor] | BrokenPhotoError:
    """Photos uint8 [B, size, size, 3] and labels int64 [B], or the first error."""
    for item in items:
        if isinstance(item, BrokenPhotoError):
            return item
    pairs = [item for item in items if not isinstance(item, BrokenPhotoError)]
    return torch.stack([photo for photo, _ in pairs]), torch.tensor([label for _, label in pairs])


def start_worker(_: int) -> None:
    """The main process alone answers an interruption, and needs its workers until it has come to a good place.

    Terminals, `timeout` and schedulers signal all processes of a run. A worker passes over SIGINT, and over
    a SIGTERM that is not the main process's own (where the system tells who sent it; elsewhere it ends).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_told_to, daemon=True).start()


def _end_when_told_to() -> None:
    main = multiprocessing.parent_process()
    while True:
        if main is None or signal.sigwaitinfo({signal.SIGTERM}).si_pid == main.pid:
            os._exit(0)


class PhotoBatches:
    """Batches ``(x float32 [B, 3, size, size], y int64 [B])`` that are read ahead by workers.

    A batch is a pure function of (round, position). Asked for one after the other, batches come
    from a running torch DataLoader; any other request starts that anew at the batch asked for.

    Args:
        dataset: the photos.
        order: of training (`IndexOrder`, shuffled anew every round, each photo with a seed of its
            own) or of evaluation (`SequentialOrder`).
        mean, std: per channel, in units of the full pixel range.
        cutout: side of the square that is erased after normalisation; training only.
        workers: processes that read; 0 = this one.
        device: where the batches are wanted.
    """

    def __init__(
        self,
        dataset: PhotoDataset,
        order: IndexOrder | SequentialOrder,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        cutout: int = 0,
        workers: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.dataset, self.order, self.cutout, self.workers = dataset, order, cutout, workers
        self.device = torch.device(device)
        self.mean = torch.tensor(mean, dtype=torch.float32, device=device)
        self.std = torch.tensor(std, dtype=torch.float32, device=device)
        self._loader: DataLoader[Any] | None = None
        self._iterator: Iterator[Any] | None = None
        self._next: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.order.batches

    def __call__(self, round: int, i: int, /) -> Batch:
        """Batch `i` of a round.

        Raises:
            UserError: naming the first broken photo in it.
        """
        if (round, i) != self._next or self._iterator is None:
            self._start_at(round, i)
        assert self._iterator is not None
        found = next(self._iterator)
        if isinstance(found, BrokenPhotoError):
            self.close()
            raise UserError(f"{found}\nmend or remove that file; resume=true continues a run that had begun")
        self._next = self._following(round, i)
        images, labels = (tensor.to(self.device, non_blocking=True) for tensor in found)
        x = normalize(images, self.mean, self.std)
        if self.cutout and isinstance(self.order, IndexOrder):
            x = cut_out(x, self._draws(self.order, round, i, images).to(self.device), self.cutout)
        return x, labels

    def items(self, round: int, i: int) -> list[Item]:
        """Which photos stand in a batch, each with its seed."""
        if isinstance(self.order, SequentialOrder):
            return [(index, None) for index in self.order.indices(i).tolist()]
        order, first = self.order, self.order.share(i).start
        return [
            (index, derive_seed(order.seed, order.stream, "photo", round, i, first + place))
            for place, index in enumerate(order.indices(round, i).tolist())
        ]

    def close(self) -> None:
        """End the workers."""
        self._iterator, self._loader, self._next = None, None, None

    def _start_at(self, round: int, i: int) -> None:
        self._next = (round, i)
        if self._loader is None:
            self._loader = DataLoader(
                self.dataset,
                batch_sampler=_Positions(self),
                num_workers=self.workers,
                collate_fn=collate,
                pin_memory=self.device.type == "cuda",
                persistent_workers=self.workers > 0,
                worker_init_fn=start_worker,
                generator=torch.Generator(),  # nothing is drawn from it that matters, nor from torch's own
            )
        self._iterator = iter(self._loader)

    def upcoming(self) -> Iterator[list[Item]]:
        """The batches from the next one on: in training without end, in evaluation to the end of the round."""
        position = self._next
        while position is not None:
            yield self.items(*position)
            position = self._following(*position)

    def _following(self, round: int, i: int) -> tuple[int, int] | None:
        if i + 1 < len(self):
            return round, i + 1
        return (round + 1, 0) if isinstance(self.order, IndexOrder) else None

    def _draws(self, order: IndexOrder, round: int, i: int, images: Tensor) -> Tensor:
        _, height, width, _ = images.shape
        augmentation = Augmentation(crop_padding=0, flip=False, cutout=self.cutout)
        draws = augmentation.draw(order.global_size(i), height, width, order.generator(round, i))
        return draws[order.share(i)]


class _Positions:
    """What a DataLoader asks for the batches to read; each time from the stream's next one on."""

    def __init__(self, batches: PhotoBatches) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[Item]]:
        return self.batches.upcoming()
