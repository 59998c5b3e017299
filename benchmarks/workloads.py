"""The computations that are compared, each in both forms, with the same weights and batches."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.ours import OurSearch, OurTraining
from benchmarks.recipes import CLASSIFIER, CNN_SEARCH, LANGUAGE_MODEL, RNN_SEARCH, Batch
from darts_pl.spaces import (
    Classifier,
    CnnSupernet,
    Dropouts,
    LanguageModel,
    RnnSupernet,
    build_space,
    slowness,
    word_loss,
)
from darts_pl.zoo import published

CLASSES, SLOWNESS, AUXILIARY_WEIGHT, DROP_PATH = 10, 1e-3, 0.4, 0.1
CNN_CANDIDATES = (
    *("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect"),
    *("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
)
RNN_CANDIDATES = ("none", "tanh", "relu", "sigmoid", "identity")
#: Of a search on Penn Treebank, and of a training; the published code's.
SEARCH_DROPOUTS = Dropouts(dropout=0.75, dropouth=0.25, dropoutx=0.75, dropouti=0.2)
TRAINING_DROPOUTS = Dropouts(dropout=0.75, dropouth=0.25, dropoutx=0.75, dropouti=0.2, dropoute=0.1)


class Pair(NamedTuple):
    """One computation in the library's form and, where it was asked for, in the published one."""

    ours: Any
    theirs: Any


def images(batch: int, side: int, device: str) -> Batch:
    """Random images [batch, 3, side, side] and labels."""
    return (
        torch.randn(batch, 3, side, side).to(device, torch.get_default_dtype()),
        torch.randint(CLASSES, (batch,)).to(device),
    )


def words(length: int, batch: int, vocabulary: int, device: str) -> Batch:
    """Random words [length, batch], and the words that follow them."""
    text = torch.randint(vocabulary, (length + 1, batch)).to(device)
    return text[:-1].contiguous(), text[1:].contiguous()


def cnn_search(
    device: str = "cpu",
    channels: int = 16,
    layers: int = 8,
    batch: int = 16,
    side: int = 32,
    nodes: int = 4,
    both: bool = True,
) -> Pair:
    """The paper's search network for images."""
    space = build_space("cnn", CNN_CANDIDATES, nodes)
    supernet = CnnSupernet(space, init_channels=channels, layers=layers, classes=CLASSES, alpha_scale=1e-3)
    supernet = supernet.to(device).train()
    batches = images(batch, side, device), images(batch, side, device)
    theirs = None
    if both:
        from benchmarks.published.steps import PublishedSearch
        from benchmarks.published.supernet import published_supernet

        network = published_supernet(supernet, channels=channels, layers=layers, classes=CLASSES)
        theirs = PublishedSearch(network, *batches, CNN_SEARCH)
    return Pair(OurSearch(supernet, *batches, CNN_SEARCH), theirs)


def rnn_search(
    device: str = "cpu",
    units: int = 300,
    vocabulary: int = 10_000,
    batch: int = 64,
    length: int = 35,
    both: bool = True,
) -> Pair:
    """The paper's search network for text."""
    space = build_space("rnn", RNN_CANDIDATES, 8)
    supernet = RnnSupernet(
        space, vocabulary=vocabulary, units=units, dropouts=SEARCH_DROPOUTS, alpha_scale=1e-3, slowness=SLOWNESS
    )
    supernet = supernet.to(device).train()
    batches = words(length, batch, vocabulary, device), words(length, batch, vocabulary, device)
    theirs = None
    if both:
        from benchmarks.published.recurrent import published_recurrent
        from benchmarks.published.steps import PublishedSearch

        theirs = PublishedSearch(published_recurrent(supernet, SEARCH_DROPOUTS), *batches, RNN_SEARCH)
    return Pair(OurSearch(supernet, *batches, RNN_SEARCH), theirs)


def classifier(
    device: str = "cpu", channels: int = 36, layers: int = 20, batch: int = 16, side: int = 32, both: bool = True
) -> Pair:
    """The paper's network for CIFAR-10, with tower and drop-path."""
    genotype = published("darts_v2")
    network = Classifier(genotype, init_channels=channels, layers=layers, classes=CLASSES, auxiliary=True)
    network = network.to(device).train()
    network.drop_path = DROP_PATH
    inputs, labels = images(batch, side, device)
    prepared = inputs.contiguous(memory_format=torch.channels_last), labels  # as the data modules make them
    ours = OurTraining(network, prepared, CLASSIFIER, classifier_loss)
    theirs = None
    if both:
        from benchmarks.published.classifier import published_classifier
        from benchmarks.published.steps import PublishedTraining

        plain = published_classifier(network, genotype, channels=channels, layers=layers, classes=CLASSES)
        plain.drop_path = DROP_PATH
        theirs = PublishedTraining(plain, (inputs, labels), CLASSIFIER)
    return Pair(ours, theirs)


def language_model(
    device: str = "cpu",
    units: int = 850,
    vocabulary: int = 10_000,
    batch: int = 64,
    length: int = 35,
    both: bool = True,
) -> Pair:
    """The paper's network for Penn Treebank."""
    genotype = published("darts_v2_rnn")
    network = LanguageModel(genotype, vocabulary=vocabulary, units=units, dropouts=TRAINING_DROPOUTS)
    network = network.to(device).train()
    train = words(length, batch, vocabulary, device)
    ours = OurTraining(network, train, LANGUAGE_MODEL, language_loss, fused=True)
    theirs = None
    if both:
        from benchmarks.published.recurrent import published_language_model
        from benchmarks.published.steps import PublishedTraining

        plain = published_language_model(network, TRAINING_DROPOUTS, SLOWNESS)
        theirs = PublishedTraining(plain, train, LANGUAGE_MODEL)
    return Pair(ours, theirs)


def classifier_loss(network: nn.Module, batch: Batch) -> Tensor:
    """As in `darts_pl.modules.classifier`."""
    inputs, labels = batch
    logits, auxiliary = network(inputs)
    of_tower = nn.functional.cross_entropy(auxiliary, labels)
    return nn.functional.cross_entropy(logits, labels) + AUXILIARY_WEIGHT * of_tower


def language_loss(network: nn.Module, batch: Batch) -> Tensor:
    """As in `darts_pl.modules.language`."""
    tokens, targets = batch
    sequence = network(tokens)
    return word_loss(sequence.logits, targets) + SLOWNESS * slowness(sequence.outputs)


WORKLOADS = {
    "cnn_search": cnn_search,
    "rnn_search": rnn_search,
    "classifier": classifier,
    "language_model": language_model,
}
