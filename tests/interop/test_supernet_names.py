"""State dicts in the published naming."""

import re

import pytest
import torch

from darts_pl import interop
from darts_pl.errors import UserError
from darts_pl.spaces import CellSpace, Classifier, CnnSupernet, SearchSpace, build_space
from darts_pl.zoo import published

CANDIDATES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
BN = ("running_mean", "running_var")
DILATED = ("op.1.weight", "op.2.weight", *(f"op.3.{b}" for b in BN))
SEPARABLE = (*DILATED, "op.5.weight", "op.6.weight", *(f"op.7.{b}" for b in BN))
REDUCE = ("conv_1.weight", "conv_2.weight", *(f"bn.{b}" for b in BN))


def supernet(**sizes):
    return CnnSupernet(
        build_space("cnn", CANDIDATES, 2),
        **{"init_channels": 2, "layers": 3, "classes": 3, "alpha_scale": 1e-3, **sizes},
    )


def published_names(layers, edges):
    """Every name that the published layout gives to the search network above (two nodes, five edges)."""
    names = {"stem.0.weight", "stem.1.weight", "stem.1.bias", "stem.1.num_batches_tracked"}
    names |= {f"stem.1.{b}" for b in BN} | {"classifier.weight", "classifier.bias"}
    reductions = {layers // 3, 2 * layers // 3}
    for i in range(layers):
        cell = f"cells.{i}"
        before = REDUCE if i - 1 in reductions else ("op.1.weight", *(f"op.2.{b}" for b in BN))
        names |= {f"{cell}.preprocess0.{name}" for name in before}
        names |= {f"{cell}.preprocess1.{name}" for name in ("op.1.weight", *(f"op.2.{b}" for b in BN))}
        for e in range(edges):
            strided = i in reductions and e != 4  # edge 4 alone starts at an intermediate node
            inner = ((), tuple(f"1.{b}" for b in BN), REDUCE if strided else (), SEPARABLE, DILATED)
            names |= {f"{cell}._ops.{e}._ops.{o}.{name}" for o, group in enumerate(inner) for name in group}
    return names


@pytest.mark.parametrize("layers", [1, 3, 4])
def test_an_exported_search_network_has_exactly_the_published_names(layers):
    net = supernet(layers=layers)
    assert interop.export_supernet(net, net.state_dict()).keys() == published_names(layers, 5)


def test_gradients_are_exported_like_weights_and_alphas_are_left_out():
    net = supernet()
    net.loss((torch.randn(2, 3, 8, 8), torch.tensor([0, 1])), net.mixing()).loss.backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    exported = interop.export_supernet(net, gradients)
    assert exported.keys() == {name for name in published_names(3, 5) if re.search(r"weight$|bias$", name)}
    # A weight gradient is the change of the loss with that edge's weight: by a difference in float64.
    name = "cells.0._ops.3._ops.4.op.2.weight"
    net.double().eval()
    images, labels = torch.randn(2, 3, 8, 8).double(), torch.tensor([0, 1])
    net.zero_grad()
    net.loss((images, labels), net.mixing()).loss.backward()
    gradient = interop.export_supernet(net, {n: p.grad for n, p in net.named_parameters()})[name]
    losses = []
    for sign in (1, -1):
        state = interop.export_supernet(net, net.state_dict())
        state[name] = state[name] + sign * 1e-4 * gradient / gradient.norm()
        other = supernet().double().eval()
        other.load_alphas(dict(net.alphas))
        interop.load(other, interop.import_supernet(other, state))
        losses.append(other.loss((images, labels), other.mixing()).loss.item())
    assert (losses[0] - losses[1]) / 2e-4 == pytest.approx(gradient.norm().item(), rel=1e-5)


def ragged():
    candidates = (
        ("none", "skip_connect", "sep_conv_3x3"),
        ("dil_conv_5x5",),
        ("max_pool_3x3", "skip_connect"),
        ("sep_conv_3x3", "none", "max_pool_3x3"),
        ("avg_pool_3x3", "sep_conv_3x3"),
    )
    cell = CellSpace(2, 2, 2, candidates)
    space = SearchSpace("cnn", {"normal": cell, "reduce": cell})
    return CnnSupernet(space, init_channels=2, layers=3, classes=3, alpha_scale=1e-3)


@pytest.mark.parametrize("build", [supernet, ragged])
@pytest.mark.parametrize("wrapped", ["plain", "state_dict", "module."])
def test_a_state_comes_back_bit_for_bit_however_it_was_wrapped(build, wrapped):
    net, other = build(), build()
    net(torch.randn(2, 3, 8, 8), net.mixing())  # running statistics of its own
    exported = interop.export_supernet(net, net.state_dict())
    if wrapped == "state_dict":
        exported = {"epoch": 50, "state_dict": exported}
    if wrapped == "module.":
        exported = {f"module.{name}": values for name, values in exported.items()}
    interop.load(other, interop.import_supernet(other, exported))
    for name, values in net.state_dict().items():
        if not name.startswith("arch."):
            assert torch.equal(other.state_dict()[name], values), name


def test_some_tensors_alone_are_imported_where_that_is_asked_for():
    net = supernet()
    buffers = {name: torch.randn_like(weight) for name, weight in net.weights().items()}
    imported = interop.import_supernet(net, interop.export_supernet(net, buffers), strict=False)
    assert list(imported) == list(net.weights())
    assert all(torch.equal(imported[name], values) for name, values in buffers.items())


def refused(message):
    return pytest.raises(UserError, match=message)


def test_a_checkpoint_of_another_search_network_is_refused_with_the_first_tensors_that_do_not_fit():
    net = supernet()
    exported = interop.export_supernet(net, net.state_dict())
    other = {**exported, "colour": torch.zeros(1), "cells.0._ops.1._ops.3.op.7.num_batches_tracked": torch.tensor(3)}
    del other["cells.1._ops.2._ops.3.op.5.weight"]
    other["cells.2._ops.4._ops.4.op.1.weight"] = torch.zeros(5)  # of one edge alone
    message = (
        r"missing 'cells.1._ops.2._ops.3.op.5.weight' \(1 in all\), unexpected 'colour' \(1 in all\), "
        r"of another shape 'cells.2._ops.4._ops.4.op.1.weight' \(1 in all\)"
    )
    with refused(message) as caught:
        interop.import_supernet(net, other)
    assert len(str(caught.value).splitlines()) <= 3
    with refused(r"of another shape 'stem.0.weight', .* \(267 in all\): \[6, 3, 3, 3\] instead of \[12, 3, 3, 3\]$"):
        interop.import_supernet(supernet(init_channels=4), exported)
    with refused("unexpected 'cells.3.preprocess0"):  # a deeper network's: nothing is silently left out
        interop.import_supernet(net, exported | {"cells.3.preprocess0.op.1.weight": torch.zeros(1)})


def test_loading_names_what_is_missing_unexpected_or_of_another_shape():
    net = supernet()
    state = {name: values for name, values in net.state_dict().items() if not name.startswith("arch.")}
    state["stem.0.weight"] = torch.zeros(1)
    state["colour"] = torch.zeros(1)
    del state["classifier.bias"]
    message = (
        r"missing 'classifier.bias' \(1 in all\), unexpected 'colour' \(1 in all\), "
        r"of another shape 'stem.0.weight' \(1 in all\)"
    )
    before = net.stem[0].weight.clone()
    with refused(message):
        interop.load(net, state)
    assert torch.equal(net.stem[0].weight, before)


def test_a_state_that_skips_a_cell_is_refused_before_a_network_is_built_for_it():
    state = Classifier(published("darts_v2"), init_channels=2, layers=3, classes=10).state_dict()
    with refused("cells.3 is missing, but there is cells.900000"):
        interop.classifier_sizes({**state, "cells.900000.preprocess0.op.1.weight": torch.zeros(1)})


def test_a_final_network_differs_in_the_name_of_its_operations_alone():
    net = Classifier(published("darts_v2"), init_channels=2, layers=3, auxiliary=True, classes=10)
    state = net.state_dict()
    exported = interop.export_network(state)
    assert {"cells.0._ops.0.op.1.weight", "cells.0._ops.7.op.2.weight", "auxiliary_head.features.2.weight"} <= set(
        exported
    )
    assert not any(".operations." in name for name in exported)
    back = interop.import_network({"state_dict": {f"module.{name}": values for name, values in exported.items()}})
    assert list(back) == list(state)
    assert all(torch.equal(back[name], values) for name, values in state.items())
