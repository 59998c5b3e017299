"""The registry: own candidates by decorator, and what it refuses."""

import pytest
import torch
from torch import nn

from darts_pl.errors import UserError
from darts_pl.ops import (
    NONE,
    EdgeByEdge,
    NodeOutput,
    build,
    build_edges,
    candidate,
    check_candidates,
    names,
    registry,
)
from darts_pl.spaces import CnnSupernet, build_space


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))


def dilated(channels, stride, affine):
    """dil_conv_3x3 as someone would write it who knows nothing of parallel edges."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride, padding=2, dilation=2, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


def test_an_own_candidate_takes_part_in_a_search_like_a_built_in_one():
    candidate("own_dilated")(dilated)
    assert names()[-1] == "own_dilated"
    nets = []
    for name in ("own_dilated", "dil_conv_3x3"):
        space = build_space("cnn", (NONE, "skip_connect", name), 2)
        nets.append(CnnSupernet(space, init_channels=2, layers=3, classes=3, alpha_scale=1e-3).double())
    own, built_in = nets
    state = built_in.state_dict()
    copied = {}
    for key, values in own.state_dict().items():
        if ".own_dilated.each." in key:
            head, tail = key.split("own_dilated.each.")
            edge, inner = tail.split(".", 1)
            edges = len(own.get_submodule(head + "own_dilated.each"))
            if inner.endswith("num_batches_tracked"):
                copied[key] = values
            else:
                copied[key] = state[f"{head}dil_conv_3x3.op.{inner}"].chunk(edges)[int(edge)]
        else:
            copied[key] = state[key]
    own.load_state_dict(copied)
    batch = torch.randn(3, 3, 9, 9, dtype=torch.float64), torch.tensor([0, 2, 1])
    losses = [net.loss(batch, net.mixing()).loss for net in nets]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-12, atol=0)
    gradients = [torch.autograd.grad(loss, list(net.alphas.values())) for net, loss in zip(nets, losses, strict=True)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-14)


def test_an_own_candidate_has_other_weights_on_every_edge_and_an_affine_part_in_a_final_network():
    candidate("own_dilated")(dilated)
    operation = build_edges("own_dilated", 4, 1, 3)
    assert isinstance(operation, EdgeByEdge)
    x = torch.randn(2, 4, 6, 6)
    maps = operation.on_edges(NodeOutput(x), torch.arange(1.0, 4.0).repeat_interleave(4)).chunk(3, dim=1)
    for edge, found in enumerate(maps):
        torch.testing.assert_close(found, (edge + 1) * operation.each[edge](x))
    assert not torch.equal(operation.each[0][1].weight, operation.each[1][1].weight)
    assert not operation.each[0][3].affine
    assert build("own_dilated", 4, 1)[3].affine


def test_a_module_that_is_imported_again_registers_its_candidates_again():
    candidate("own_dilated")(dilated)
    candidate("own_dilated")(dilated)
    assert names().count("own_dilated") == 1


def refused(message):
    return pytest.raises(UserError, match=message)


def test_a_taken_name_is_refused_and_the_first_owner_stays():
    before = build("sep_conv_3x3", 4, 1)
    with refused("'sep_conv_3x3' is already taken"):
        candidate("sep_conv_3x3")(dilated)
    assert type(build("sep_conv_3x3", 4, 1)) is type(before)
    with refused("'none' is already taken"):
        candidate("none")(dilated)
    assert NONE not in names()


@pytest.mark.parametrize("name", ["", "7x7", "my-conv", "a b", "a.b", "a/b"])
def test_a_name_that_is_no_identifier_is_refused_by_name(name):
    with refused(f"'{name}': use letters, digits and _ only"):
        candidate(name)


@pytest.mark.parametrize("ask", [build, lambda *a: build_edges(*a, 2), lambda name, *_: check_candidates([name])])
def test_an_unknown_operation_is_named_with_all_known_ones_and_the_way_to_add_it(ask):
    with refused("unknown operation 'sep_conv_9x9'") as caught:
        ask("sep_conv_9x9", 4, 1)
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    assert "imports=[...]" in message
    assert all(name in message for name in (NONE, *names()))


def test_none_is_a_candidate_but_no_operation():
    check_candidates([NONE, "skip_connect"])
    with refused("unknown operation 'none'"):
        build_edges(NONE, 4, 1, 2)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([], r"candidates \[\] hold no operation"),
        ([NONE], r"candidates \['none'\] hold no operation"),
        (["skip_connect", "skip_connect"], "name one operation twice"),
        ([NONE, "skip_connect", NONE], "name one operation twice"),
    ],
)
def test_candidates_that_make_no_space_are_refused(wanted, message):
    with refused(message):
        check_candidates(wanted)


def test_a_builder_that_calls_itself_parallel_must_return_an_edge_operation():
    candidate("liar", parallel=True)(lambda channels, stride, affine, edges: nn.Identity())
    with pytest.raises(AssertionError, match="liar is registered as parallel"):
        build_edges("liar", 4, 1, 2)
