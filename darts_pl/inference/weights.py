"""The final network in a checkpoint, ours or the authors', in evaluation mode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from darts_pl import interop
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.spaces import ImageNetwork, LanguageModel, build, space_of


def load_classifier(
    checkpoint: Path, genotype: Genotype, dtype: torch.dtype, content: Mapping[str, Any] | None = None
) -> ImageNetwork:
    """The image classifier in a checkpoint. Its sizes are read from the tensors.

    Args:
        checkpoint: the file.
        genotype: what the network was built from.
        dtype: of its weights, whatever that of the file is.
        content: of the file, where it has been read already.

    Raises:
        UserError: if the file is no such checkpoint, or its network has another genotype.
    """
    try:
        tensors = interop.import_network(interop.read(checkpoint) if content is None else content)
        sizes = space_of(genotype.kind).sizes_of(tensors) or interop.classifier_sizes(tensors)
        network = interop.build_and_load(
            lambda: build(genotype, **sizes), lambda _: tensors, dtype, interop.authors_names
        )
    except UserError as error:
        raise _naming(checkpoint, error) from None
    assert isinstance(network, ImageNetwork)
    return network


def load_language_model(
    checkpoint: Path, genotype: Genotype, dtype: torch.dtype, content: Mapping[str, Any] | None = None
) -> LanguageModel:
    """The language model in a checkpoint. One of our checkpoints holds two networks: this is that of the best
    validation loss, which a training scores.

    Args, raises: see `load_classifier`.
    """
    try:
        found = interop.read(checkpoint) if content is None else content
        ours = found.get("language")
        tensors = interop.unwrap(ours["best"] if isinstance(ours, Mapping) and "best" in ours else found)
        sizes = interop.language_model_sizes(tensors)
        network = interop.build_and_load(
            lambda: build(genotype, **sizes), lambda plan: interop.import_recurrent(plan, tensors), dtype
        )
    except UserError as error:
        raise _naming(checkpoint, error) from None
    assert isinstance(network, LanguageModel)
    return network


def load_network(
    checkpoint: Path, genotype: Genotype, dtype: torch.dtype, content: Mapping[str, Any] | None = None
) -> nn.Module:
    """The final network in a checkpoint, of whatever kind the genotype is; see `load_classifier`."""
    load = {"images": load_classifier, "text": load_language_model}.get(space_of(genotype.kind).data)
    if load is None:
        raise UserError(f"a genotype of kind {genotype.kind!r} builds neither an image classifier nor a language model")
    return load(checkpoint, genotype, dtype, content)


def _naming(checkpoint: Path, error: UserError) -> UserError:
    """The same error with the checkpoint's name in it."""
    text = str(error)
    return UserError(text if str(checkpoint) in text else f"{checkpoint}: {text}")
