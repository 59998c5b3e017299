"""Sizes of the published networks: recorded figures, and a count made without the program's own."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vit_b_32

from darts_pl.spaces import (
    PAPER_NETWORKS,
    Classifier,
    CnnSupernet,
    build,
    build_space,
    count_multiply_adds,
    count_parameters,
    min_batch_size,
    size_of,
)
from darts_pl.zoo import published

#: (parameters, multiply-adds); those of DARTS were recorded from the authors' code, but for the
#: multiply-adds other than V2's on CIFAR-10. The test below counts all of them in another way.
SIZES = {
    ("darts_v1", "cifar"): (3_169_414, 500_987_520),
    ("darts_v2", "cifar"): (3_349_342, 528_359_040),
    ("nasnet", "cifar"): (3_830_950, 603_452_448),
    ("amoebanet_as_in_darts", "cifar"): (3_145_078, 488_931_552),
    ("darts_v1", "imagenet"): (4_510_432, 505_864_704),
    ("darts_v2", "imagenet"): (4_718_752, 529_911_552),
    ("nasnet", "imagenet"): (5_564_320, 604_031_616),
    ("amoebanet_as_in_darts", "imagenet"): (4_627_360, 526_746_624),
}


@pytest.mark.parametrize(("name", "which"), SIZES)
def test_a_published_network_has_the_recorded_size(name, which):
    assert size_of(published(name), which) == SIZES[name, which]


def by_hooks(network, images):
    """Multiply-adds, counted at every convolution and linear layer from the shapes that pass."""
    counts = []

    def convolution(module, _, output):
        inputs = module.in_channels // module.groups * module.kernel_size[0] * module.kernel_size[1]
        counts.append(inputs * output[0].numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(convolution)
        elif isinstance(module, nn.Linear):
            module.register_forward_hook(lambda module, _, __: counts.append(module.weight.numel()))
    with torch.no_grad():
        network.eval()(images)
    return sum(counts)


@pytest.mark.parametrize(("name", "which"), SIZES)
def test_multiply_adds_are_those_of_a_count_layer_by_layer(name, which):
    paper = PAPER_NETWORKS[which]
    with torch.device("meta"):
        network = build(
            published(name),
            init_channels=paper.init_channels,
            layers=paper.layers,
            classes=paper.classes,
            stem=paper.stem,
        )
        assert by_hooks(network, torch.empty(1, 3, paper.side, paper.side)) == SIZES[name, which][1]


def test_the_tower_counts_neither_as_parameters_nor_as_multiply_adds_and_nothing_is_changed():
    plain, towered = (
        Classifier(published("darts_v2"), init_channels=4, layers=3, auxiliary=auxiliary, classes=10)
        for auxiliary in (False, True)
    )
    before = {name: values.clone() for name, values in towered.state_dict().items()}
    assert count_parameters(plain) == count_parameters(towered) < sum(p.numel() for p in towered.parameters())
    assert count_multiply_adds(plain, 3, 32, 32) == count_multiply_adds(towered, 3, 32, 32)
    assert towered.training
    assert all(torch.equal(before[name], values) for name, values in towered.state_dict().items())


def tensors_of(network):
    return dict(network.named_parameters()) | dict(network.named_buffers())


@pytest.mark.parametrize(
    ("stem", "side", "auxiliary", "least"),
    [
        ("cifar", 8, False, 1),  # its smallest map is 2x2
        ("cifar", 8, True, 2),  # the tower of small images ends with BatchNorm of one pixel
        ("cifar", 4, False, 2),
        ("imagenet", 64, True, 1),  # no BatchNorm there
        ("imagenet", 64, False, 1),
        ("imagenet", 33, False, 1),
        ("imagenet", 32, False, 2),  # one pixel after five halvings
    ],
)
def test_a_batch_needs_two_images_where_batchnorm_reads_single_pixels(stem, side, auxiliary, least):
    network = Classifier(published("darts_v1"), init_channels=2, layers=4, stem=stem, auxiliary=auxiliary, classes=10)
    networks = [(network, ())]
    if not auxiliary:
        space = build_space("cnn", ("none", "skip_connect", "sep_conv_3x3"), 2)
        supernet = CnnSupernet(space, init_channels=2, layers=4, classes=3, stem=stem)
        networks.append((supernet, (supernet.mixing(),)))
    for network, others in networks:
        before = {name: values.clone() for name, values in tensors_of(network).items()}
        state = torch.get_rng_state()
        assert min_batch_size(network.eval(), 3, side, side, *others) == least
        assert not network.training
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(before[name], values) for name, values in tensors_of(network).items())


class Broadcast(nn.Module):
    """Sums of tensors of different shapes and types, whose results a product then reads."""

    def forward(self, images):
        row = images[:, :1, :1].to(torch.float64)
        return torch.relu(row + images + 1) @ torch.add(row, images, alpha=2).transpose(-1, -2)


@pytest.mark.parametrize(
    "network",
    [
        lambda: build(published("darts_v2"), init_channels=4, layers=5, classes=10),
        lambda: vit_b_32(image_size=32),
        Broadcast,
    ],
    ids=["classifier", "with attention", "broadcast"],
)
def test_multiply_adds_are_half_of_what_torchs_own_counter_finds(network):
    with torch.device("meta"):
        made, images = network().eval(), torch.empty(1, 3, 32, 32)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            made(images)
        assert count_multiply_adds(made, 3, 32, 32) == counter.get_total_flops() // 2 > 0
        with torch.inference_mode():  # as in a validation by Lightning
            assert count_multiply_adds(made, 3, 32, 32) == counter.get_total_flops() // 2


def test_what_a_network_cannot_compute_cannot_be_counted():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(7))
    with pytest.raises((RuntimeError, ValueError), match="7"):
        count_multiply_adds(network, 3, 8, 8)
