"""The registry: own candidates by decorator, and what it refuses."""

import pytest
import torch
from torch import nn

from darts_pl.errors import UserError
from darts_pl.ops import (
    ACTIVATIONS,
    CANDIDATES,
    NONE,
    EdgeByEdge,
    EdgeOperation,
    NodeOutput,
    activation,
    build,
    build_edges,
    candidate,
    check_candidates,
    names,
)
from darts_pl.spaces import CnnSupernet, build_space
from tests.registrations import keep_registrations


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    keep_registrations(monkeypatch, [CANDIDATES])


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
    with refused("'sep_conv_3x3' .*test_operation_registry.py:.* already taken by .*candidates.py:"):
        candidate("sep_conv_3x3")(dilated)
    assert type(build("sep_conv_3x3", 4, 1)) is type(before)
    with refused("'none': the name is reserved"):
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


class Halving(EdgeOperation):
    """Forgets the maps of every second edge."""

    def on_edges(self, node, scale=None):
        return node.raw


class MadeOnTheCpu(nn.Module):
    """Adds a tensor that is on the CPU wherever the input is."""

    def forward(self, x):
        return x + torch.zeros(x.shape)


class Reading(nn.Module):
    """Reads a value, which cannot be done on torch's device without memory."""

    def forward(self, x):
        return x * max(x.sum().item(), 1.0)


class Doubled(nn.Module):
    def forward(self, x):
        return x.double()


class Drawing(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn, self.runs = nn.BatchNorm2d(4), 0

    def forward(self, x):
        self.runs += 1
        return self.bn(x) + torch.rand_like(x)


class Failing(nn.Module):
    def forward(self, x):
        raise ZeroDivisionError("division by zero")


def broken(name, **options):
    raise RuntimeError("no weights here")


@pytest.mark.parametrize(
    ("build_one", "words"),
    [
        (lambda channels, stride, affine: nn.Conv2d(channels, 4, 3), "makes [2, 4, 6, 6], and must make [2, 4, 8, 8]"),
        (lambda channels, stride, affine: nn.Conv2d(channels, 8, 1), "makes [2, 8, 8, 8], and must make [2, 4, 8, 8]"),
        (lambda channels, stride, affine: Doubled(), "makes torch.float64; the type must stay"),
        (lambda channels, stride, affine: MadeOnTheCpu(), "another device than its input"),
        (lambda channels, stride, affine: Failing(), "running it raised ZeroDivisionError: division by zero"),
        (lambda channels, stride, affine: torch.relu, "must return a torch.nn.Module"),
        (lambda channels, stride, affine: None, "returns None, and must return a torch.nn.Module"),
        (lambda channels, stride, affine: broken("own"), "building it raised RuntimeError: no weights here"),
        (lambda channels, stride: nn.Identity(), "it is called with (channels, stride, affine)"),
    ],
)  # fmt: skip
def test_an_operation_that_is_no_candidate_is_refused_in_one_line_with_its_file(build_one, words):
    candidate("own")(build_one)
    for ask in (lambda: build("own", 4, 1), lambda: build_edges("own", 4, 1, 2)):
        with pytest.raises(UserError) as caught:
            ask()
        message = str(caught.value)
        assert words in message
        assert f"{__file__}:" in message
        assert "\n" not in message


def test_a_parallel_operation_must_be_an_edge_operation_with_a_map_for_each_edge():
    candidate("liar", parallel=True)(lambda channels, stride, affine, edges: nn.Identity())
    with refused("returns an Identity; with parallel=True it must return a darts_pl.ops.EdgeOperation"):
        build_edges("liar", 4, 1, 2)
    candidate("halving", parallel=True)(lambda channels, stride, affine, edges: Halving(edges))
    assert build("halving", 4, 1).edges == 1
    with refused(r"makes \[2, 4, 8, 8\], and must make \[2, 8, 8, 8\]"):
        build_edges("halving", 4, 1, 2)


def test_a_check_changes_neither_the_operation_nor_the_random_state_and_is_made_once():
    made = []
    candidate("drawing")(lambda channels, stride, affine: made.append(Drawing()) or made[-1])
    before = torch.get_rng_state()
    operation = build("drawing", 4, 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert operation.runs == 0
    assert operation.training
    assert torch.equal(operation.bn.running_mean, torch.zeros(4))
    candidate("reading")(lambda channels, stride, affine: Reading())
    assert isinstance(build("reading", 4, 1), Reading)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x.sum(), "makes [], and must make [2, 3]"),
        (lambda x: x.to(torch.bfloat16), "makes torch.bfloat16; the type must stay"),
        (lambda x: x * torch.ones(2, 3), "another device than its input"),
        (lambda x: [x], "makes a list, and must make a tensor [2, 3]"),
        (lambda x, y: x, "TypeError"),
    ],
)
def test_a_function_that_is_no_activation_is_refused_when_it_is_registered(function, words):
    with pytest.raises(UserError) as caught:
        activation("own")(function)
    assert words in str(caught.value)
    assert f"{__file__}:" in str(caught.value)
    assert "own" not in ACTIVATIONS
