"""The final network: sizes, drop path, auxiliary tower."""

import pytest
import torch

from darts_pl.errors import UserError
from darts_pl.genotype import from_pairs, parse
from darts_pl.spaces import AuxiliaryTower, CellPlan, Classifier, FinalCell
from darts_pl.zoo import ZOO, published

PLAN = CellPlan(in_before=4, in_last=4, channels=4, reduction=False, halve_before=False)
REDUCTION = CellPlan(in_before=4, in_last=4, channels=4, reduction=True, halve_before=False)


@pytest.mark.parametrize(("name", "parameters"), [("darts_v1", 3_169_414), ("darts_v2", 3_349_342)])
def test_a_cifar_network_of_the_paper_has_as_many_parameters_as_the_authors(name, parameters):
    net = Classifier(published(name), init_channels=36, layers=20, classes=10)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


def cell(first, second, plan=PLAN):
    """One node that reads both inputs."""
    pairs = [(first, 0), (second, 1)]
    genotype = from_pairs("cnn", {"normal": (pairs, [2]), "reduce": (pairs, [2])})
    return FinalCell(genotype.cells["normal"], plan)


def parts_of(cell, before, last):
    """What each of the two operations gives, batch statistics included."""
    states = cell.preprocess0(before), cell.preprocess1(last)
    return [operation(state) for operation, state in zip(cell.operations, states, strict=True)]


def test_operations_that_read_one_node_share_its_relu_and_hooks_see_the_map_of_each(monkeypatch):
    pairs = [("dil_conv_3x3", 0), ("skip_connect", 1)]
    genotype = from_pairs("cnn", {name: (2 * pairs, [2, 3]) for name in ("normal", "reduce")})
    net, relu, calls, maps = FinalCell(genotype.cells["normal"], PLAN), torch.relu, [], []
    monkeypatch.setattr(torch, "relu", lambda x: calls.append(1) or relu(x))
    for operation in net.operations:
        operation.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0].shape))
    net(*torch.randn(2, 3, 4, 6, 6), 0.0)
    assert maps == [(3, 4, 6, 6)] * 4
    assert len(calls) == 2 + 1  # one in front of each 1x1 convolution that prepares an input, one for both operations


@pytest.mark.parametrize("drop_path", [0.2, 0.5, 0.9])
def test_each_operation_is_dropped_for_single_samples_and_scaled_so_that_the_mean_stays(drop_path):
    net, samples = cell("avg_pool_3x3", "sep_conv_3x3"), 4000
    before, last = torch.randn(2, samples, 4, 2, 2)
    with torch.no_grad():
        first, second = parts_of(net, before, last)
        found = net(before, last, drop_path)
    kept = torch.zeros(samples, 2, dtype=torch.bool)
    scale = 1 / (1 - drop_path)
    matched = torch.zeros(samples, dtype=torch.bool)
    for use_first in (False, True):
        for use_second in (False, True):
            expected = scale * (use_first * first + use_second * second)
            same = (found - expected).abs().amax((1, 2, 3)) < 1e-4 * scale
            kept[same] = torch.tensor([use_first, use_second])
            matched |= same
    assert matched.all()  # each sample keeps an operation whole or not at all
    deviation = (drop_path * (1 - drop_path) / samples) ** 0.5
    assert ((kept.double().mean(0) - (1 - drop_path)).abs() < 4 * deviation).all()
    together = (kept[:, 0] & kept[:, 1]).double().mean() - (1 - drop_path) ** 2  # drawn apart
    assert together.abs() < 4 * deviation


def test_the_identity_is_never_dropped():
    net = cell("skip_connect", "avg_pool_3x3")
    before, last = torch.randn(2, 200, 4, 2, 2)
    with torch.no_grad():
        identity, pooled = parts_of(net, before, last)
        found = net(before, last, 0.5) - identity
    dropped = found.abs().amax((1, 2, 3)) < 1e-5
    assert 50 < dropped.sum() < 150
    torch.testing.assert_close(found[~dropped], 2 * pooled[~dropped], rtol=1e-4, atol=1e-4)


def test_a_skip_that_halves_the_map_is_dropped_like_a_convolution():
    net = cell("skip_connect", "skip_connect", REDUCTION)
    before, last = torch.randn(2, 400, 4, 2, 2)
    with torch.no_grad():
        found = net(before, last, 0.5)
    assert 50 < (found.abs().amax((1, 2, 3)) == 0).sum() < 150  # both gone: a quarter


def test_nothing_is_dropped_in_evaluation_or_at_probability_zero():
    net = cell("avg_pool_3x3", "sep_conv_3x3")
    before, last = torch.randn(2, 50, 4, 2, 2)
    with torch.no_grad():
        torch.testing.assert_close(net(before, last, 0.0), sum(parts_of(net, before, last)))
        net.eval()
        torch.testing.assert_close(net(before, last, 0.9), sum(parts_of(net, before, last)))


def test_the_drop_path_that_is_set_on_the_network_reaches_its_cells():
    net = Classifier(published("darts_v2"), init_channels=2, layers=3, classes=10)
    images = torch.randn(4, 3, 16, 16)
    assert net.drop_path == 0
    assert torch.equal(net(images), net(images))
    net.drop_path = 0.5
    assert not torch.equal(net(images), net(images))
    net.eval()
    assert torch.equal(net(images), net(images))


def test_the_auxiliary_tower_reads_the_cell_at_two_thirds_and_only_while_training():
    net = Classifier(published("darts_v2"), init_channels=2, layers=5, classes=7, auxiliary=True)
    outputs = []
    net.cells[3].register_forward_hook(lambda _, __, out: outputs.append(out))
    images = torch.randn(4, 3, 32, 32)
    logits, auxiliary = net(images)
    assert logits.shape == auxiliary.shape == (4, 7)
    assert outputs[0].shape == (4, 32, 8, 8)
    torch.testing.assert_close(auxiliary, net.auxiliary_head(outputs[0]))
    net.eval()
    assert net(images).shape == (4, 7)
    plain = Classifier(published("darts_v2"), init_channels=2, layers=5, classes=7)
    assert plain.auxiliary_head is None
    assert plain(images).shape == (4, 7)


def test_logits_do_not_depend_on_whether_there_is_a_tower():
    with_tower, without = (
        Classifier(published("darts_v1"), init_channels=2, layers=3, auxiliary=auxiliary, classes=10).eval()
        for auxiliary in (True, False)
    )
    state = {k: v for k, v in with_tower.state_dict().items() if not k.startswith("auxiliary_head.")}
    without.load_state_dict(state)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(with_tower(images), without(images))


@pytest.mark.parametrize(("stride", "size"), [(3, 8), (2, 7)])
def test_a_tower_brings_its_map_to_two_by_two_pixels_and_then_to_one(stride, size):
    tower = AuxiliaryTower(6, 5, pool_stride=stride, last_norm=stride == 3)
    sizes = []
    for layer in (1, 5):
        tower.features[layer].register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    assert tower(torch.randn(2, 6, size, size)).shape == (2, 5)
    assert sizes == [(6, 2, 2), (768, 1, 1)]


@pytest.mark.parametrize("name", [name for name in ZOO if published(name).kind == "cnn"])
def test_every_published_cell_builds_and_widens_by_the_nodes_that_it_concatenates(name):
    genotype = published(name)
    net = Classifier(genotype, init_channels=2, layers=4, classes=3, in_channels=1).eval()
    widths, sizes = [], []
    for final_cell in net.cells:
        final_cell.register_forward_hook(lambda _, __, out: widths.append(out.shape[1]))
        final_cell.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[2:])))
    assert net(torch.randn(1, 1, 15, 9)).shape == (1, 3)
    normal, reduction = (len(genotype.cells[kind].concat) for kind in ("normal", "reduce"))
    assert widths == [2 * normal, 4 * reduction, 8 * reduction, 8 * normal]
    assert sizes == [(15, 9), (8, 5), (4, 3), (4, 3)]


REFUSED = {
    "unknown operation": (
        lambda: Classifier(
            parse(str(published("darts_v2")).replace("dil_conv_3x3", "dil_conv_3x4")),
            init_channels=36,
            layers=20,
            classes=10,
        ),
        "unknown operation 'dil_conv_3x4' in the normal cell",
    ),
    "recurrent cell": (
        lambda: Classifier(
            parse("Genotype(recurrent=[('tanh', 0)], concat=[1])"), init_channels=36, layers=20, classes=10
        ),
        "a genotype of kind 'rnn' does not build an image classifier",
    ),
    "no layers": (
        lambda: Classifier(published("darts_v2"), layers=0, init_channels=36, classes=10),
        "layers=0: must be at least 1",
    ),
    "no width": (
        lambda: Classifier(published("darts_v2"), init_channels=0, layers=20, classes=10),
        "init_channels=0: must be at least 1",
    ),
    "no classes": (
        lambda: Classifier(published("darts_v2"), classes=-1, init_channels=36, layers=20),
        "classes=-1: must be at least 1",
    ),
    "a node without inputs": (
        lambda: Classifier(
            from_pairs(
                "cnn",
                {name: ([("skip_connect", 0)], [2, 3]) for name in ("normal", "reduce")},
                {name: [1, 0] for name in ("normal", "reduce")},
            ),
            init_channels=36,
            layers=20,
            classes=10,
        ),
        "node 3 of the normal cell reads nothing",
    ),
}


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_builds_no_network_is_refused_with_the_value_in_at_most_three_lines(build, message):
    with pytest.raises(UserError, match=message) as caught:
        build()
    assert len(str(caught.value).splitlines()) <= 3
