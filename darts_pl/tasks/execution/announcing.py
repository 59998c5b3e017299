"""What a run is, in the words in which it is announced before its first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from darts_pl.data.loaders import LOADERS
from darts_pl.records.folder import Summary
from darts_pl.run_folder import shown
from darts_pl.tasks.execution.context import Context

#: So many names of classes are printed.
CLASSES_SHOWN = 8


def describe(context: Context, data: Any, facts: Summary, trainer: pl.Trainer) -> Mapping[str, str]:
    """Label -> text of a run.

    Args:
        context: configuration and folder.
        data: the data module.
        facts: sizes of the network: "parameters", or "search/parameters" and "architecture", and "multiply_adds".
        trainer: has its data and its device.
    """
    return {
        "data": data_text(context, data),
        **classes_text(getattr(data, "identity", {}), getattr(context.config.data, "size", None)),
        "network": network_text(facts),
        "training": training_text(context, trainer, data, facts),
        "device": device_text(trainer),
        "folder": shown(context.folder.path),
    }


def data_text(context: Context, data: Any) -> str:
    """Name, place, and the sizes of the splits."""
    settings = context.config.data
    splits: Mapping[str, int] = getattr(data, "split_sizes", {})  # a plugin's data need not have either
    what = "words" if settings.holds == "text" else "images"
    sizes = [f"{count:,} {split}" for split, count in splits.items()]
    held_back: int = getattr(data, "held_back", 0)
    if held_back:
        sizes.append(f"{held_back:,} test, which it does not read")
    place = f" in {settings.path}" if settings.path and settings.name != LOADERS else ""
    return f"{settings.name}{place}; {what}: {', '.join(sizes)}"


def classes_text(identity: Mapping[str, Any], crop: int | None = None) -> dict[str, str]:
    """How many classes or words there are, and the shape of an image.

    Args:
        identity: of the data.
        crop: side of the crops of photos, which have any size.
    """
    if "classes" not in identity:
        return {"words": f"{identity['words']:,} different ones"} if "words" in identity else {}
    names = [str(name) for name in identity["classes"]]
    more = f" and {len(names) - CLASSES_SHOWN} more" if len(names) > CLASSES_SHOWN else ""
    found = {"classes": f"{len(names)}: {', '.join(names[:CLASSES_SHOWN])}{more}"}
    if "height" in identity:
        channels = identity["channels"]
        colour = {1: "greyscale", 3: "colour"}.get(channels, f"{channels} channels")
        found["images"] = f"{identity['height']}x{identity['width']} pixels, {colour}"
    elif crop is not None:
        found["images"] = f"crops of {crop}x{crop} pixels"
    return found


def network_text(facts: Summary) -> str:
    """What is trained, and its size."""
    if "search/parameters" in facts:
        return f"supernet with {facts['search/parameters']:,} weights and {facts['architecture']:,} alphas"
    parts = [f"{facts['parameters']:,} parameters"]
    if facts.get("multiply_adds") is not None:
        parts.append(f"{facts['multiply_adds']:,} multiply-adds per image")
    return ", ".join(parts)


def training_text(context: Context, trainer: pl.Trainer, data: Any, facts: Summary) -> str:
    """Epochs, steps, batch size, seed, and of a search its order and method."""
    config, processes = context.config, trainer.world_size
    batch = f"{data.loading.batch_size}" if processes == 1 else f"{processes} x {data.loading.batch_size}"
    epochs, steps = trainer.max_epochs or 0, int(trainer.num_training_batches)
    parts = [f"{_counted(epochs, 'epoch')} of {_counted(steps, 'step')}", f"batch size {batch}"]
    if "search/parameters" in facts:
        parts.append(f"{config.method or 'own method'}, order {config.order.name}")
    return ", ".join([*parts, f"seed {config.seed}"])


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def device_text(trainer: pl.Trainer) -> str:
    """Device, number of processes and threads, and precision."""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"CPU, {_counted(torch.get_num_threads(), 'thread')}"
    processes = f"{trainer.world_size} processes, each with " if trainer.world_size > 1 else ""
    return f"{processes}{name}, precision {trainer.precision}"
