"""Every operation of the published code under its published names, both ways, to the value."""

import itertools

import pytest
import torch

from darts_pl import interop
from darts_pl.genotype import from_pairs
from darts_pl.ops import EdgeOperation, NodeOutput, candidate, names, registry
from darts_pl.problems import ImageProblem
from darts_pl.spaces import Classifier, CnnSupernet, build_space
from darts_pl.zoo import ZOO
from tests.interop.reference import Network, randomised
from tests.registrations import keep_registrations

#: The table of operations in the authors' cnn/operations.py.
OPERATIONS = (
    "none",
    "avg_pool_3x3",
    "max_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "conv_7x1_1x7",
)


def cells_of(genotype):
    return {
        name: ([(pair.operation, pair.source) for pair in cell.pairs], cell.concat)
        for name, cell in genotype.cells.items()
    }


def all_operations():
    """A genotype that has every operation but none in both cells, from cell inputs and from a node."""
    wanted = [name for name in OPERATIONS if name != "none"]
    pairs = [(name, source) for name, source in zip(wanted + wanted, itertools.cycle((0, 1)), strict=False)]
    pairs[-1] = (pairs[-1][0], 2)
    return from_pairs("cnn", {name: (pairs, range(2, 2 + len(pairs) // 2)) for name in ("normal", "reduce")})


def matching(genotype, **sizes):
    """The authors' network with random tensors, and ours, untrained."""
    ours = Classifier(genotype, init_channels=4, classes=5, **sizes).eval()
    return randomised(Network(4, 5, cells=cells_of(genotype), **sizes)), ours


GENOTYPES = {"all": all_operations()} | {
    name: ZOO[name].genotype for name in ("darts_v1", "darts_v2", "nasnet", "amoebanet_as_in_darts", "pc_darts_cifar")
}


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("name", GENOTYPES)
def test_a_final_network_loads_computes_the_same_and_is_saved_under_the_published_names(name, stem):
    theirs, ours = matching(GENOTYPES[name], layers=5, stem=stem, auxiliary=True)
    state = theirs.state_dict()
    ours.load_state_dict(interop.import_network(state))  # strict: no name is missing or left over
    exported = interop.export_network(ours.state_dict())
    assert exported.keys() == state.keys()
    assert all(torch.equal(exported[key], value) for key, value in state.items())
    x = torch.randn(2, 3, 64, 64).double()
    with torch.no_grad():
        torch.testing.assert_close(ours.double()(x), theirs.double()(x))


@pytest.mark.parametrize(("stem", "layers"), [("cifar", 20), ("cifar", 6), ("imagenet", 14)])
def test_the_twelve_tensors_of_amoebanet_lie_directly_under_their_operation(stem, layers):
    theirs, ours = matching(ZOO["amoebanet_as_in_darts"].genotype, layers=layers, stem=stem)
    exported = interop.export_network(ours.state_dict())
    norm = [f"3.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    published = {
        f"cells.{layer}._ops.8.{name}"
        for layer in (layers // 3, 2 * layers // 3)
        for name in ["1.weight", "2.weight", *norm]
    }
    assert len(published) == 12
    assert published <= theirs.state_dict().keys()
    assert published <= exported.keys()
    assert not any(key.startswith(f"cells.{layers // 3}._ops.8.op.") for key in exported)


@pytest.mark.parametrize("missing", ["1.weight", "2.weight", "3.running_var"])
def test_messages_call_the_tensors_of_that_operation_by_their_published_names(missing, tmp_path):
    genotype = ZOO["amoebanet_as_in_darts"].genotype
    theirs, _ = matching(genotype, layers=3, stem="cifar")
    state = theirs.state_dict()
    del state[f"cells.1._ops.8.{missing}"]
    torch.save(state, tmp_path / "file.pt")
    with pytest.raises(ValueError, match=rf"missing 'cells\.1\._ops\.8\.{missing}' \(1 in all\)$"):
        ImageProblem.load_network(tmp_path / "file.pt", genotype, torch.float32)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize(
    "candidates",
    [
        OPERATIONS,
        ("none", "conv_7x1_1x7", "skip_connect"),
        ("max_pool_3x3", "sep_conv_7x7", "conv_7x1_1x7"),
        OPERATIONS[::-1],
    ],
)
def test_a_search_network_loads_computes_the_same_and_is_saved_under_the_published_names(candidates, stem):
    space = build_space("cnn", candidates, 3)
    ours = CnnSupernet(space, init_channels=4, layers=3, classes=5, stem=stem).eval()
    theirs = randomised(Network(4, 5, 3, candidates=candidates, nodes=3, stem=stem))
    for norm in (module for module in theirs.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        if not norm.affine:
            norm.running_mean.zero_()  # the edges that leave a node pool the same map: their statistics are equal
            norm.running_var.fill_(0.8)
    state = theirs.state_dict()
    interop.load(ours, interop.import_supernet(ours, state))
    ours.load_alphas({name: torch.zeros_like(alphas) for name, alphas in ours.alphas.items()})
    exported = interop.export_supernet(ours, ours.state_dict())
    uncounted = {key for key in state if not key.endswith("num_batches_tracked")}  # a search reads no counts
    assert {key for key in exported if not key.endswith("num_batches_tracked")} == uncounted
    assert all(torch.equal(exported[key], state[key]) for key in uncounted)
    x = torch.randn(2, 3, 32, 32).double()
    with torch.no_grad():
        ours.double()
        torch.testing.assert_close(ours(x, ours.mixing()), theirs.double()(x))


def test_the_published_table_holds_all_operations_that_the_program_brings():
    assert set(OPERATIONS) - {"none"} <= set(names())


def plain(channels: int, stride: int, affine: bool) -> torch.nn.Module:
    """A user's own candidate in the usual form: a bare Sequential."""
    conv = torch.nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
    return torch.nn.Sequential(torch.nn.ReLU(), conv, torch.nn.BatchNorm2d(channels, affine=affine))


def square(channels: int, stride: int, affine: bool, edges: int) -> EdgeOperation:
    """A user's own candidate for K edges, with layers whose kernels are not those of conv_7x1_1x7."""

    class Square(EdgeOperation):
        def __init__(self) -> None:
            super().__init__(edges)
            self.op = torch.nn.Sequential(
                torch.nn.ReLU(), torch.nn.Conv2d(channels * edges, channels * edges, 7, stride, 3, groups=edges)
            )

        def on_edges(self, node: NodeOutput, scale: torch.Tensor | None = None) -> torch.Tensor:
            maps = self.op[1](node.repeated(edges))
            return maps if scale is None else maps * scale.view(1, -1, 1, 1)

    return Square()


def test_own_candidates_come_back_bit_for_bit_in_final_and_search_networks(monkeypatch):
    keep_registrations(monkeypatch, [registry.CANDIDATES])
    candidate("own_plain")(plain)
    candidate("own_square", parallel=True)(square)
    own = ("own_plain", "own_square", "conv_7x1_1x7")
    pairs = [(own[0], 0), (own[1], 1), (own[2], 0), (own[0], 2)]
    net = Classifier(
        from_pairs("cnn", {t: (pairs, [2, 3]) for t in ("normal", "reduce")}), init_channels=2, layers=3, classes=10
    )
    exported = interop.export_network(net.state_dict())
    assert {"cells.0._ops.0.1.weight", "cells.0._ops.1.op.1.weight", "cells.0._ops.2.1.weight"} <= exported.keys()
    back = interop.import_network(exported)
    assert all(torch.equal(back[key], value) for key, value in net.state_dict().items())
    supernet = CnnSupernet(build_space("cnn", own, 2), init_channels=2, layers=3, classes=3)
    exported = interop.export_supernet(supernet, supernet.state_dict())
    assert exported["cells.0._ops.3._ops.0.1.weight"].shape == (2, 2, 3, 3)  # of one edge
    other = CnnSupernet(build_space("cnn", own, 2), init_channels=2, layers=3, classes=3)
    interop.load(other, interop.import_supernet(other, exported))
    for key, value in supernet.state_dict().items():
        assert key.startswith("alphas.") or torch.equal(other.state_dict()[key], value), key
