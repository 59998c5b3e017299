"""The Python file of a network computes what the network does, and reads as if somebody had written it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from darts_pl.errors import UserError
from darts_pl.export import FORMATS, Job, call_of
from darts_pl.genotype import CellGenotype, Genotype, Pair, parse
from darts_pl.inference import with_description
from darts_pl.records import ImageInput, NetworkDescription, TextInput
from darts_pl.spaces import build
from darts_pl.zoo import published

#: Every operation of the package that has one form, on edges that keep the size and on edges that halve it.
OPERATIONS = (
    *("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7"),
    *("dil_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7", "conv_3x1_1x3", "conv_1x1", "conv_3x3", "max_pool_2x2"),
    *("dil_sep_conv_5x5", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3_plain"),
)


def every_operation() -> Genotype:
    """Each operation once on a halving edge of a reduction cell, and twice on edges that keep the size."""
    nodes = tuple((Pair(name, index % 2), Pair(name, index + 1)) for index, name in enumerate(OPERATIONS))
    cell = CellGenotype(nodes, concat=tuple(range(2, 2 + len(nodes))))
    return Genotype("cnn", {"normal": cell, "reduce": cell})


def with_random_statistics(network: nn.Module) -> nn.Module:
    """BatchNorm's buffers and weights as a training leaves them: none is 0 or 1."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low in ((module.running_mean, -0.2), (module.running_var, 0.5), (module.weight, 0.5)):
                nn.init.uniform_(values, low, low + 1)
    return network.eval()


def job(network: nn.Module, description: NetworkDescription, folder: Path) -> Job:
    model = with_description(network, description, "the network")
    images = isinstance(description.input, ImageInput)
    return Job(model, call_of(model, preprocessing=images), folder, {})


def images(side: int, channels: int = 3) -> ImageInput:
    mean, std = (0.5, 0.4, 0.3)[:channels], (0.2, 0.25, 0.3)[:channels]
    return ImageInput(channels=channels, height=side, width=side, mean=mean, std=std)


def in_fresh_python(folder: Path, code: str) -> str:
    """What code prints beside the file, in a Python that finds neither this package nor what the tests import."""
    blocked = "import sys\nsys.modules['darts_pl'] = None\nsys.path.insert(0, '.')\n"
    command = [sys.executable, "-I", "-c", blocked + code]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


CASES: dict[str, tuple[Genotype, dict[str, Any], int]] = {
    "every operation": (every_operation(), {"init_channels": 2, "layers": 3}, 11),
    "photos": (published("darts_v2"), {"init_channels": 4, "layers": 5, "stem": "imagenet"}, 40),
    "extra skips": (published("darts_v1"), {"init_channels": 2, "layers": 4, "extra_skip": True}, 8),
    "own reductions": (published("pc_darts_cifar"), {"init_channels": 2, "layers": 3, "reductions": [1]}, 8),
    "no reductions": (published("darts_v2"), {"init_channels": 2, "layers": 2, "reductions": []}, 8),
    "a tower": (published("darts_v2"), {"init_channels": 2, "layers": 3, "auxiliary": True}, 16),
}


@pytest.mark.parametrize("case", CASES)
def test_a_convolutional_network_is_written_out_and_gives_the_same_probabilities(case: str, tmp_path: Path) -> None:
    genotype, sizes, side = CASES[case]
    network = with_random_statistics(build(genotype, classes=3, in_channels=3, **sizes))
    description = NetworkDescription(genotype=genotype, input=images(side), class_names=("a", "b", "ü"))
    made = job(network, description, tmp_path)
    written = FORMATS.get("source")(made)
    given = made.call.example(5)
    torch.testing.assert_close(written.run(given)[0], made.call.result(given)[0], rtol=0, atol=1e-5)
    assert torch.load(tmp_path / "network.pt", weights_only=True).keys() == {"weights"}


@pytest.mark.parametrize(
    "text",
    [
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
        "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|",  # node 2 is zero
        "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|",  # the output is zero
        "|skip_connect~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|",  # a cell without modules
    ],
)
def test_a_network_of_nas_bench_201_is_written_out_without_what_nothing_reads(text: str, tmp_path: Path) -> None:
    genotype = parse(text)
    network = with_random_statistics(build(genotype, channels=4, cells=2, classes=10, in_channels=1))
    made = job(network, NetworkDescription(genotype=genotype, input=images(9, channels=1)), tmp_path)
    written = FORMATS.get("source")(made)
    given = made.call.example(3)
    torch.testing.assert_close(written.run(given)[0], made.call.result(given)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["darts_v2_rnn", "enas_rnn"])
def test_a_language_model_is_written_out_and_reads_a_text_word_by_word(name: str, tmp_path: Path) -> None:
    genotype = published(name)
    network = build(genotype, vocabulary=7, units=5).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    words = ("the", "cat", "<eos>", "sat", "it's", '"', "dog")
    made = job(network, NetworkDescription(genotype=genotype, input=TextInput(words=words)), tmp_path)
    written = FORMATS.get("source")(made)
    given = made.call.example(4)
    for ours, theirs in zip(made.call.result(given), written.run(given), strict=True):
        torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)
    found = made.model.predict("the cat xyz sat")
    printed = in_fresh_python(
        tmp_path, "import network as n\nprint(n.next_words(n.load(), n.load_words(), 'the cat xyz sat'))"
    )
    for (word, probability), (other, value) in zip(found.top(), eval(printed).items(), strict=True):
        assert word == other
        assert probability == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("case", ["every operation", "photos", "nasbench201", "rnn"])
def test_the_file_is_formatted_and_without_unused_names(case: str, tmp_path: Path) -> None:
    if case == "rnn":
        genotype = published("darts_v2_rnn")
        network = build(genotype, vocabulary=7, units=5).eval()
        words = tuple("abcdefg")
        read: Any = TextInput(words=words, splitting="punctuation")
    elif case == "nasbench201":
        genotype = parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
        network, read = build(genotype, channels=4, cells=2, classes=10, in_channels=1).eval(), images(9, channels=1)
    else:
        genotype, sizes, side = CASES[case]
        network = build(genotype, classes=3, in_channels=3, **sizes).eval()
        photos = ImageInput(**{**vars(images(side)), "photos": True, "resize": side + 4})
        read = photos if case == "photos" else images(side)
    names = ("a cat", "l'ours", 'a "dog" with a very long name', "Bär") if case == "photos" else None
    if names is not None:
        network = build(genotype, classes=4, in_channels=3, **CASES[case][1]).eval()
    FORMATS.get("source")(job(network, NetworkDescription(genotype=genotype, input=read, class_names=names), tmp_path))
    ruff = [sys.executable, "-m", "ruff"]
    rules = "--select=E4,E7,E9,F,I,B,UP"
    for command in (["format", "--isolated", "--diff"], ["check", "--isolated", "--target-version=py311", rules]):
        done = subprocess.run([*ruff, *command, "network.py"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_not_written_out_is_refused_with_another_format(tmp_path: Path) -> None:
    cell = CellGenotype(((Pair("noise", 0), Pair("skip_connect", 1)),), concat=(2,))
    genotype = Genotype("cnn", {"normal": cell, "reduce": cell})
    network = build(genotype, classes=3, init_channels=2, layers=1).eval()
    made = job(network, NetworkDescription(genotype=genotype, input=images(8)), tmp_path)
    with pytest.raises(UserError, match=r"'noise' is not written out as source; use format=pt2"):
        FORMATS.get("source")(made)
    assert list(tmp_path.iterdir()) == []
