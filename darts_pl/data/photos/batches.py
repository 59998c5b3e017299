"""Batches of photos that worker processes read, as functions of (epoch, index)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from darts_pl.data.augment import Augmentation, cut_out, normalize
from darts_pl.data.batches import Batch
from darts_pl.data.photos.folders import PhotoList
from darts_pl.data.photos.reading import BrokenPhotoError, read_photo
from darts_pl.data.sample_order import EvaluationOrder, IndexOrder, derive_seed
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
    """Photos uint8 [B, size, size, 3] and labels int64 [B], or the first error; [0, 1, 1, 3] and [0] of no items."""
    if not items:
        return torch.empty(0, 1, 1, 3, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
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

    A batch is a pure function of (epoch, index). Batches that are asked for one after the other come
    from a running torch DataLoader; any other request restarts it at the batch asked for.

    Args:
        dataset: the photos.
        sample_order: of training (`IndexOrder`, another shuffle in every epoch, each photo with a seed
            of its own) or of evaluation (`EvaluationOrder`).
        mean, std: per channel, in units of the full pixel range.
        cutout: side of the square that is erased after normalisation; training only.
        workers: processes that read; 0 = this one.
        device: where the batches are wanted.
    """

    def __init__(
        self,
        dataset: PhotoDataset,
        sample_order: IndexOrder | EvaluationOrder,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        cutout: int = 0,
        workers: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.dataset, self.sample_order, self.cutout, self.workers = dataset, sample_order, cutout, workers
        self.device = torch.device(device)
        self.mean = torch.tensor(mean, dtype=torch.float32, device=device)
        self.std = torch.tensor(std, dtype=torch.float32, device=device)
        self._loader: DataLoader[Any] | None = None
        self._iterator: Iterator[Any] | None = None
        self._next: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.sample_order.batches

    def __call__(self, epoch: int, index: int, /) -> Batch:
        """Batch `index` of an epoch.

        Raises:
            UserError: naming the first broken photo in it.
        """
        if (epoch, index) != self._next or self._iterator is None:
            self._start_at(epoch, index)
        assert self._iterator is not None
        found = next(self._iterator)
        if isinstance(found, BrokenPhotoError):
            self.close()
            raise UserError(f"{found}\nrepair or delete this file, then run the command again with resume=true")
        self._next = self._following(epoch, index)
        images, labels = (tensor.to(self.device, non_blocking=True) for tensor in found)
        x = normalize(images, self.mean, self.std)
        if self.cutout and isinstance(self.sample_order, IndexOrder):
            x = cut_out(x, self._draws(self.sample_order, epoch, index, images).to(self.device), self.cutout)
        return x, labels

    def items(self, epoch: int, index: int) -> list[Item]:
        """Which photos are in a batch, each with its seed."""
        order = self.sample_order
        if isinstance(order, EvaluationOrder):
            return [(photo, None) for photo in order.indices(index).tolist()]
        first = order.rank_slice(index).start
        return [
            (photo, derive_seed(order.seed, order.stream, "photo", epoch, index, first + place))
            for place, photo in enumerate(order.indices(epoch, index).tolist())
        ]

    def close(self) -> None:
        """End the workers."""
        self._iterator, self._loader, self._next = None, None, None

    def _start_at(self, epoch: int, index: int) -> None:
        self._next = (epoch, index)
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
        """The batches from the next one on: in training without end, in evaluation to the end of the epoch."""
        position = self._next
        while position is not None:
            yield self.items(*position)
            position = self._following(*position)

    def _following(self, epoch: int, index: int) -> tuple[int, int] | None:
        if index + 1 < len(self):
            return epoch, index + 1
        return (epoch + 1, 0) if isinstance(self.sample_order, IndexOrder) else None

    def _draws(self, order: IndexOrder, epoch: int, index: int, images: Tensor) -> Tensor:
        _, height, width, _ = images.shape
        augmentation = Augmentation(crop_padding=0, flip=False, cutout=self.cutout)
        draws = augmentation.draw(order.global_size(index), height, width, order.generator(epoch, index))
        return draws[order.rank_slice(index)]


class _Positions:
    """What a DataLoader asks for the batches to read; each time from the stream's next one on."""

    def __init__(self, batches: PhotoBatches) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[Item]]:
        return self.batches.upcoming()
