"""The network for photos, and the tower on maps of any size."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from darts_pl.errors import UserError
from darts_pl.ops import FactorizedReduce
from darts_pl.spaces import AuxiliaryTower, Classifier, CnnSupernet, build, build_space, tower_fits
from darts_pl.zoo import published

CANDIDATES = ("none", "skip_connect", "max_pool_3x3")


def photo_network(**sizes):
    return Classifier(
        published("darts_v2"), **{"init_channels": 4, "layers": 3, "classes": 7, "stem": "imagenet"} | sizes
    )


def test_two_stems_halve_a_photo_three_times_and_the_first_cell_reads_the_output_of_both():
    net = photo_network().eval()
    inputs = []
    net.cells[0].register_forward_hook(lambda _, arguments, __: inputs.extend(arguments[:2]))
    assert net(torch.randn(1, 3, 224, 224)).shape == (1, 7)
    assert [tuple(x.shape[1:]) for x in inputs] == [(4, 56, 56), (4, 28, 28)]
    assert isinstance(net.cells[0].preprocess0, FactorizedReduce)
    assert not isinstance(net.cells[1].preprocess0, FactorizedReduce)


def test_a_search_on_photos_has_the_same_stems():
    net = CnnSupernet(build_space("cnn", CANDIDATES, 2), init_channels=4, layers=3, classes=7, stem="imagenet")
    sizes = []
    for cell in net.cells:
        cell.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    assert net(torch.randn(2, 3, 224, 224), net.mixing()).shape == (2, 7)
    assert sizes == [(8, 28, 28), (16, 14, 14), (32, 7, 7)]
    assert next(name for name in net.state_dict() if name.startswith("stem")) == "stem.stem0.0.weight"


def test_an_unknown_stem_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="unknown stem 'vit'; known: cifar, imagenet"):
        photo_network(stem="vit")


@pytest.mark.parametrize(("stride", "papers"), [(3, 8), (2, 7)])
def test_the_tower_pools_as_published_at_the_papers_size_and_adaptively_elsewhere(stride, papers):
    pool = AuxiliaryTower(6, 5, pool_stride=stride).features[1]
    for side in range(2, 12):
        x = torch.randn(2, 6, side, side)
        expected = avg_pool2d(x, 5, stride) if side == papers else adaptive_avg_pool2d(x, 2)
        assert torch.equal(pool(x), expected)
    assert pool(torch.randn(2, 6, 9, 4)).shape[2:] == (2, 2)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("side", [8, 16, 32, 33])
def test_the_tower_is_off_exactly_where_its_map_is_smaller_than_two_by_two(stem, layers, side):
    net = build(published("darts_v1"), init_channels=2, layers=layers, classes=10, stem=stem, auxiliary=True)
    maps = []
    net.cells[net.tower_after].register_forward_hook(lambda _, __, out: maps.append(out.shape[-1]))
    _, auxiliary = net(torch.randn(2, 3, side, side))
    assert (auxiliary is not None) == (maps[0] >= 2) == tower_fits(layers, stem, side)
