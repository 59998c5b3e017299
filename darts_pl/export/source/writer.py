"""Puts the file of a network together, writes its weights beside it, and runs both."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from darts_pl import __version__, atomic
from darts_pl.data.text.words import PUNCTUATION
from darts_pl.errors import UserError
from darts_pl.export.calls import called
from darts_pl.export.formats import FORMATS, Job, Written
from darts_pl.export.source.blocks import BLOCKS
from darts_pl.export.source.code import Source, listing, paragraph, text
from darts_pl.export.source.convolutional import convolutional_source
from darts_pl.export.source.functions import image_functions, text_functions
from darts_pl.export.source.nasbench201 import nasbench201_source
from darts_pl.export.source.recurrent import recurrent_source
from darts_pl.inference import ImageClassifier, TextModel
from darts_pl.records import NetworkDescription
from darts_pl.spaces import Classifier, LanguageModel, NasBench201Network

#: The file and its weights.
SOURCE, WEIGHTS = "network.py", "network.pt"


@FORMATS.register("source")
def write_source(job: Job) -> Written:
    """`network.py` builds the network in plain PyTorch, `network.pt` holds its weights and words."""
    source = source_of(job.model.description, job.model.network)
    path = job.folder / SOURCE
    state = job.model.network.state_dict()
    content: dict[str, Any] = {"weights": {after: state[before].clone() for before, after in source.names.items()}}
    if isinstance(job.model, TextModel) and not job.model.missing:
        content["words"] = list(job.model.words)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    atomic.write(path.with_name(WEIGHTS), buffer.getvalue())
    atomic.write(path, file_text(job, source))
    module = _imported(path)
    network = module.load()

    def run(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if job.call.outputs != ("probabilities",):
            return called(network, inputs)
        return called(lambda images: module.probabilities(network, images), inputs)

    return Written(path, list(job.call.inputs), run)


def source_of(description: NetworkDescription, network: Any) -> Source:
    """The classes of a network.

    Raises:
        UserError: if networks of its kind, or one of its operations, are not written out.
    """
    genotype = description.genotype
    if isinstance(network, Classifier):
        return convolutional_source(genotype, network)
    if isinstance(network, NasBench201Network):
        return nasbench201_source(genotype, network)
    if isinstance(network, LanguageModel):
        return recurrent_source(genotype, network)
    raise UserError(f"format=source: networks of kind {genotype.kind!r} are not written out as source; use format=pt2")


def file_text(job: Job, source: Source) -> str:
    """The whole file."""
    model = job.model
    blocks = [text_ for name, text_ in BLOCKS.items() if name in source.blocks]
    prepared = isinstance(model, ImageClassifier) and not model.missing
    photos = prepared and isinstance(model, ImageClassifier) and model.input.channels in (1, 3)
    if isinstance(model, ImageClassifier):
        constants, functions = _image_constants(model), image_functions(model)
    else:
        constants, functions = [], text_functions(model)
    constants.insert(0, f'FILE = Path(__file__).with_name("{WEIGHTS}")')
    imports = ["import sys"] if photos or isinstance(model, TextModel) else []
    if isinstance(model, TextModel) and model.input.splitting == PUNCTUATION:
        imports.insert(0, "import re")
    if "gated" in source.blocks:
        imports.append("from collections.abc import Callable")
    imports += ["from pathlib import Path", "", "import torch"]
    imports += ["from PIL import Image, ImageOps"] if photos else []
    imports.append("from torch import Tensor, nn")
    head = "\n".join([_docstring(job), "", *imports])
    return (
        "\n\n\n".join(
            part.strip("\n") for part in [head + _block(constants), *blocks, source.code, functions] if part
        ).rstrip("\n")
        + "\n"
    )


def _block(constants: list[str]) -> str:
    return "\n\n" + "\n".join(constants) if constants else ""


def _docstring(job: Job) -> str:
    model = job.model
    classifies = isinstance(model, ImageClassifier)
    use = "python network.py PHOTO ..." if classifies else 'python network.py "first words of a text"'
    what = "An image classifier" if classifies else "A language model"
    lines = [
        f'"""{what} in plain PyTorch, written by darts_pl {__version__}.',
        "",
        f"Its weights are in {WEIGHTS}, in the same folder. It needs torch alone, and Pillow for photos.",
        "",
        f"    {use}",
        "",
        "Its genotype:",
        "",
        paragraph(str(model.description.genotype).replace('"""', "'''"), "    "),
        '"""',
    ]
    if not classifies:
        lines[2] = f"Its weights and its words are in {WEIGHTS}, in the same folder. It needs torch alone."
    return "\n".join(lines)


def _image_constants(model: ImageClassifier) -> list[str]:
    image = model.input
    lines = []
    if model.class_names is not None:
        lines.append(listing("CLASS_NAMES", [text(name) for name in model.class_names]))
    if model.missing:
        return lines
    assert image.mean is not None
    assert image.std is not None
    lines.append("# Per channel, of pixels in [0, 1].")
    lines += [listing("MEAN", [repr(value) for value in image.mean])]
    lines += [listing("STD", [repr(value) for value in image.std])]
    lines.append("# Pixels of the images that the network reads.")
    lines.append(f"HEIGHT, WIDTH, CHANNELS = {image.height}, {image.width}, {image.channels}")
    if image.photos:
        lines += ["# Shorter side of a photo before its centre is cropped.", f"RESIZE = {image.resize}"]
    return lines


def _imported(path: Path) -> ModuleType:
    """The written file as a module, which is not kept in `sys.modules`."""
    spec = importlib.util.spec_from_file_location("exported_network", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module
