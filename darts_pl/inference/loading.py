"""`darts_pl.load`: a trained network from a folder or a file, ready to be asked."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import darts_pl.zoo as _zoo
from darts_pl import interop
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype, find
from darts_pl.inference.classifier import ImageClassifier
from darts_pl.inference.language import TextModel
from darts_pl.inference.older_runs import describe_older
from darts_pl.inference.places import CONFIG, WEIGHTS, exported_folder, finished_training
from darts_pl.inference.weights import load_network
from darts_pl.records import (
    DESCRIPTION_KEY,
    ImageInput,
    NetworkDescription,
    TextInput,
    from_plain,
    read_description,
    read_genotype,
)
from darts_pl.spaces import ImageNetwork, LanguageModel

_log = logging.getLogger(__name__)

Loaded = ImageClassifier | TextModel


def load(
    place: str | Path,
    *,
    genotype: str | Genotype | None = None,
    dtype: torch.dtype = torch.float32,
    size: tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    class_names: Sequence[str] | None = None,
    words: Sequence[str] | None = None,
) -> Loaded:
    """A trained network in evaluation mode on the CPU, with its preprocessing and the names of its classes.

    Args:
        place: the folder of a finished training, an exported folder (task=export format=folder), or a checkpoint file.
        genotype: what the network was built from: a published name, a file or a text; only for checkpoints that do not
            say it, such as those of the authors' code.
        dtype: of the weights. Networks of mixed precision are computed in float32.
        size, mean, std, class_names, words: what older checkpoints do not say: (height, width) in pixels, mean and
            standard deviation per channel in units of the full pixel range, names of the classes, words by number.
            They replace what is stored.

    Returns:
        an `ImageClassifier` or a `TextModel`; both have `predict`.

    Raises:
        UserError: if there is no such network, or a genotype is needed.
    """
    path = Path(place).expanduser()
    network, description = _exported(path, dtype) or _trained(path, genotype, dtype)
    known = {"size": size, "mean": mean, "std": std, "class_names": class_names, "words": words}
    loaded = with_description(network, _completed(description, network, known), str(place))
    if loaded.missing:
        _log.warning("%s: not stored with this network: %s", place, ", ".join(loaded.missing))
    return loaded


def with_description(network: nn.Module, description: NetworkDescription, place: str) -> Loaded:
    """A network that is loaded already, ready to be asked; see `load`."""
    if isinstance(network, ImageNetwork):
        return ImageClassifier(network, description, place)
    assert isinstance(network, LanguageModel)
    return TextModel(network, description, place)


def stored_description(content: Mapping[str, Any], checkpoint: Path) -> NetworkDescription | None:
    """The description in a checkpoint; None in those of others and of older versions.

    Args:
        content: of the file, as `interop.read` gives it.
        checkpoint: the file.
    """
    found = content.get(DESCRIPTION_KEY)
    return None if found is None else from_plain(found, str(checkpoint))


def _exported(path: Path, dtype: torch.dtype) -> tuple[nn.Module, NetworkDescription] | None:
    """The network of an exported folder; None if this is none."""
    folder = exported_folder(path.parent if path.name == WEIGHTS else path)
    if folder is None:
        return None
    file = folder / CONFIG
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(f"{file}: damaged; export the network again") from None
    description = from_plain(found, str(file))
    return load_network(folder / WEIGHTS, description.genotype, dtype), description


def _trained(path: Path, genotype: str | Genotype | None, dtype: torch.dtype) -> tuple[nn.Module, NetworkDescription]:
    """The network of a run's folder or a checkpoint file."""
    if path.suffix in (".onnx", ".pt2"):
        program = "onnxruntime.InferenceSession" if path.suffix == ".onnx" else "torch.export.load"
        raise UserError(f"{path}: an exported program, which needs no darts_pl; open it with {program}(...)")
    if not path.exists():
        raise UserError(f"{path}: there is no such folder or file")
    run = finished_training(path, key="") if path.is_dir() else None
    folder, checkpoint = (None, path) if run is None else (run.path, run.checkpoint)
    content = interop.read(checkpoint)
    description = stored_description(content, checkpoint)
    if description is None and folder is not None:
        description = read_description(folder)
    built_from = _genotype(genotype, description, folder, checkpoint)
    network = load_network(checkpoint, built_from, dtype, content)
    return network, description or describe_older(folder, built_from, network)


def _genotype(
    wanted: str | Genotype | None, description: NetworkDescription | None, folder: Path | None, checkpoint: Path
) -> Genotype:
    if isinstance(wanted, Genotype):
        return wanted
    if wanted is not None:
        found = _zoo.published(wanted) if _zoo.is_published(wanted) else find(wanted)
        if found is None:
            raise UserError(f"genotype={wanted}: neither a file nor a folder; {_zoo.unknown(wanted)}")
        return found
    if description is not None:
        return description.genotype
    if folder is not None:
        return read_genotype(folder)
    raise UserError(
        f"{checkpoint}: does not say which genotype it was built from; give it: darts_pl.load(FILE, "
        "genotype='darts_v2'), a published name, a file or a text"
    )


def _completed(description: NetworkDescription, network: nn.Module, known: Mapping[str, Any]) -> NetworkDescription:
    """The same with what the caller knows in place of what is stored."""
    given = {name: value for name, value in known.items() if value is not None}
    text = isinstance(description.input, TextInput)
    wrong = [name for name in given if (name == "words") != text]
    if wrong:
        raise UserError(f"{wrong[0]}=...: this network reads {'text' if text else 'images'}")
    if isinstance(description.input, TextInput):
        if "words" not in given:
            return description
        assert isinstance(network, LanguageModel)
        _check_count("words", given["words"], network.vocabulary)
        return replace(description, input=replace(description.input, words=tuple(map(str, given["words"]))))
    assert isinstance(network, ImageNetwork)
    if "class_names" in given:
        _check_count("class_names", given["class_names"], network.classifier.out_features)
        description = replace(description, class_names=tuple(map(str, given["class_names"])), why_numbers=None)
    values: dict[str, Any] = {}
    for name in ("mean", "std"):
        if name in given:
            _check_count(name, given[name], network.in_channels)
            values[name] = tuple(map(float, given[name]))
    if "size" in given:
        values["height"], values["width"] = map(int, given["size"])
    images = description.input
    assert isinstance(images, ImageInput)
    return replace(description, input=replace(images, **values))


def _check_count(name: str, values: Sequence[Any], expected: int) -> None:
    if len(values) != expected:
        raise UserError(f"{name}: {len(values)} given; this network has {expected}")
