"""The space whose reduction cells are fixed: its genotypes, its final network, and what it refuses."""

import copy

import pytest
import torch
from torch import nn

from darts_pl.errors import UserError
from darts_pl.genotype import parse
from darts_pl.selection import random_genotype
from darts_pl.spaces import SPACES, CnnSupernet, FinalCell, build, build_space, size_of
from darts_pl.spaces.cnn.fixed_reduction import FixedReduction
from darts_pl.zoo import ZOO, published

SPACE = "cnn_fixed_reduction"
NAMES = ("none", "skip_connect", "sep_conv_3x3")
#: The network of GDAS's paper: 20 cells, C=36.
PAPER = {"init_channels": 36, "layers": 20, "classes": 10}


def test_the_published_cell_builds_a_network_of_the_published_size():
    genotype = published("gdas_f1")
    counted = sum(weight.numel() for weight in build(genotype, **PAPER).parameters())
    (size,) = ZOO["gdas_f1"].sizes
    assert size_of(genotype, "cifar")[0] == counted
    assert round(counted / 1e6, 1) == size.parameters == 2.5


def test_a_genotype_has_a_normal_cell_alone_and_says_its_kind_in_text_and_in_json():
    genotype = random_genotype(build_space(SPACE, NAMES, 2), 0)
    assert [*genotype.cells] == ["normal"]
    assert parse(str(genotype)) == parse(genotype.to_json()) == genotype


def test_a_text_without_a_reduction_cell_that_does_not_name_the_kind_is_refused_as_incomplete():
    text = str(random_genotype(build_space(SPACE, NAMES, 2), 0)).replace(f"kind='{SPACE}', ", "")
    with pytest.raises(UserError, match="'reduce' is missing"):
        parse(text)


def test_a_search_network_has_alphas_of_the_normal_cell_alone_at_the_width_of_four_maps():
    supernet = CnnSupernet(build_space(SPACE, NAMES, 2), init_channels=4, layers=3, classes=3)
    assert [*supernet.architecture()] == ["alphas.normal"]
    assert [type(cell) is FixedReduction for cell in supernet.cells] == [False, True, True]
    assert supernet.classifier.in_features == 4 * 16


def plain_reduction(cell: FixedReduction, before: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """The cell of GDAS layer by layer: both inputs through 1x3, 3x1 and 1x1 convolutions, and through a maximum."""
    inputs = [cell.preprocess0(before), cell.preprocess1(last)]
    maps = []
    for x, narrow in zip(inputs, cell.convolutions, strict=True):
        _, first, second, norm, _, pointwise, last_norm = narrow
        x = nn.functional.conv2d(x.relu(), first.weight, first.bias, (1, 2), (0, 1), groups=8)
        x = nn.functional.conv2d(x, second.weight, None, (2, 1), (1, 0), groups=8)
        maps.append(last_norm(nn.functional.conv2d(norm(x).relu(), pointwise.weight)))
    for x, pool in zip(inputs, cell.pools, strict=True):
        maps.append(pool[1](nn.functional.max_pool2d(x, 3, 2, 1)))
    return torch.cat(maps, dim=1)


def test_a_final_network_halves_its_maps_by_the_fixed_cell_and_drops_single_maps_for_single_samples():
    torch.manual_seed(0)
    network = build(published("gdas_f1"), init_channels=8, layers=3, classes=3).double()
    first, second, _ = network.cells
    assert isinstance(first, FinalCell)
    assert isinstance(second, FixedReduction)
    before, last = torch.randn(64, 24, 8, 8).double(), torch.randn(64, 32, 8, 8).double()
    expected = plain_reduction(copy.deepcopy(second), before, last)
    torch.testing.assert_close(second(before, last), expected)
    dropped = second(before, last, drop_path=0.25).view(64, 4, -1)
    gone = (dropped == 0).all(2)
    torch.testing.assert_close(dropped[~gone], expected.view(64, 4, -1)[~gone] / 0.75)
    assert 0.15 < gone.double().mean() < 0.35
    torch.testing.assert_close(second.eval()(before, last, drop_path=0.25), second(before, last))


def test_channels_that_its_groups_do_not_divide_are_refused_in_one_line():
    with pytest.raises(UserError, match="make init_channels a multiple of 4") as caught:
        CnnSupernet(build_space(SPACE, NAMES, 2), init_channels=6, layers=3, classes=3)
    assert len(str(caught.value).splitlines()) == 1


def test_its_latency_is_refused_because_fixed_cells_hold_no_operation_of_the_genotype():
    with pytest.raises(UserError, match="is not measured"):
        SPACES.get(SPACE).check_latency_is_measured()
