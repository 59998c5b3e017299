"""``compare=NETWORK`` and the part of the training images that chooses the best epoch."""

import csv
import json

import numpy as np
import pytest
import torch

from darts_pl.data import ImageSettings, Loading, npz
from darts_pl.data.images.module import ValidatedImages
from darts_pl.errors import UserError
from darts_pl.problems.torchvision_networks import TorchvisionNetwork, build_torchvision_network
from darts_pl.report import accuracy_interval, compare_networks
from darts_pl.spaces import count_parameters
from tests.tasks.conftest import csv_rows, finished

SMALL = [
    "task=retrain",
    "genotype=darts_v2",
    "data=npz",
    "train.layers=3",
    "train.init_channels=2",
    "preset=few_images",
]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """60 images of two classes that differ in brightness."""
    draws = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = draws.integers(0, 156, (60, 8, 8)) + 100 * labels[:, None, None]
    path = tmp_path_factory.mktemp("data") / "own.npz"
    np.savez(path, x=images.astype(np.uint8), y=labels)
    return path


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [("resnet18", 11_689_512, 1.81e9), ("mobilenet_v3_small", 2_542_856, 0.06e9)],  # torchvision's table of weights
)
def test_sizes_are_those_that_torchvision_publishes(name, parameters, multiply_adds):
    network, found = build_torchvision_network(name, (3, 224, 224), 1000)
    assert count_parameters(network) == parameters
    assert round(found / 1e9, 2) == pytest.approx(multiply_adds / 1e9)


def test_a_grey_image_is_given_as_three_equal_channels():
    torch.manual_seed(0)
    grey = TorchvisionNetwork("resnet18", 1, 5).eval()
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(grey(images), grey.network(torch.cat([images] * 3, dim=1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare=nosuch"], "compare=nosuch: torchvision has no classifier of that name; use one such as resnet18"),
        (["compare=resnet19"], "did you mean resnet18?"),
        (["compare=vit_b_16"], "compare=vit_b_16: cannot read images of 8x8"),
        (["compare=resnet18", "task=search"], "compare=resnet18 with task=search: is for task=retrain, search_and"),
        (["compare=resnet18", "task=retrain", "data=pydocs", "genotype=darts_v2_rnn"], "classify images"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_the_training(arguments, message, file, refused):
    command = [*SMALL, f"data.path={file}"] if "data=pydocs" not in arguments else []
    error = refused(*command, *arguments)
    assert message in error
    assert len(error.splitlines()) == 1


def test_networks_differ_only_where_their_intervals_do_not_meet():
    for found, other, word in ((0.95, 0.80, "beats"), (0.80, 0.95, "is worse than"), (0.9, 0.88, "is not shown")):
        low, high = accuracy_interval(found, 400)
        other_low, other_high = accuracy_interval(other, 400)
        assert (low > other_high or high < other_low) == (word != "is not shown")
        assert f"The found network {word}" in compare_networks(found, other, 400, "resnet18")


def test_the_compared_network_is_trained_and_scored_too(file, tmp_path):
    folder = finished(tmp_path / "run", *SMALL, f"data.path={file}", "compare=shufflenet_v2_x0_5", "train.epochs=1")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["compare/network"] == "shufflenet_v2_x0_5"
    assert summary["compare/parameters"] == count_parameters(TorchvisionNetwork("shufflenet_v2_x0_5", 1, 2))
    assert summary["test/images"] == 12
    assert len(csv_rows(folder / "compare" / "metrics.csv")) == 1
    assert "shufflenet_v2_x0_5" in summary["compare/conclusion"]


def right_of(checkpoint, file):
    """The accuracy of a checkpoint's network on the part that is held out, computed here."""
    from darts_pl.interop import build_and_load, classifier_sizes, import_network, read
    from darts_pl.spaces import build
    from darts_pl.zoo import published

    tensors = import_network(read(checkpoint))
    sizes = classifier_sizes(tensors)
    network = build_and_load(lambda: build(published("darts_v2"), **sizes), lambda _: tensors, torch.float32)
    plain = {"name": "npz", "path": None, "batch_size": None, "stem": "cifar", "eval_batch_size": 8, "flip": False}
    plain |= {
        "split": "stratified",
        "split_seed": 0,
        "test_fraction": 0.2,
        "crop_padding": 0,
        "mean": None,
        "std": None,
        "layout": "auto",
    }
    data = ValidatedImages(npz(str(file)), ImageSettings(**plain), Loading(8, 0, valid_fraction=0.25))
    with torch.no_grad():
        right = [(network(x).argmax(1) == y).float() for x, y in data.val_dataloader()]
    return float(torch.cat(right).mean())


def test_the_weights_of_the_best_epoch_are_kept_and_resuming_goes_on_with_the_last(file, tmp_path):
    command = [*SMALL, f"data.path={file}", "train.valid_fraction=0.25", "train.lr=0.3"]
    whole = finished(tmp_path / "whole", *command, "train.epochs=5")
    rows = list(csv.DictReader((whole / "metrics.csv").read_text().splitlines()))
    accuracies = [float(row["retrain/valid_accuracy"]) for row in rows]
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["valid_samples"] == 12
    assert summary["retrain/best_valid_accuracy"] == max(accuracies)
    assert accuracies[summary["retrain/best_epoch"] - 1] == max(accuracies)
    checkpoint = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)
    assert right_of(whole / "checkpoints" / "last.ckpt", file) == pytest.approx(max(accuracies))
    assert {*checkpoint["last_state"]} == {*checkpoint["state_dict"]}


def test_dataloaders_are_not_divided():
    from darts_pl.data.loaders import loader_pair

    with pytest.raises(UserError, match="dataloaders of a notebook"):
        loader_pair("nothing")
