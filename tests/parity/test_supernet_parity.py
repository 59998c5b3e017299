"""The search network against numbers recorded from the authors' code, in float64."""

import copy
from types import SimpleNamespace

import pytest
import torch

from darts_pl import interop
from darts_pl.bilevel import InnerStep, first_order, second_order
from darts_pl.genotype import from_pairs
from darts_pl.selection import magnitude
from darts_pl.spaces import CnnSupernet, build_space, fix_weights
from tests.paper import CANDIDATES

pytestmark = pytest.mark.parity


def nodes_of(edges):
    """Node i of a cell is entered by i + 2 edges."""
    nodes = 0
    while edges > 0:
        edges -= nodes + 2
        nodes += 1
    assert edges == 0
    return nodes


def supernet_of(data):
    """An untrained supernet of the recorded sizes."""
    state, hyper = data["state_dict"], data["hyper"]
    edges, count = data["alphas_normal"].shape
    candidates = data.get("candidates", CANDIDATES)
    assert len(candidates) == count
    return CnnSupernet(
        build_space("cnn", candidates, nodes_of(edges)),
        init_channels=hyper["init_channels"],
        layers=hyper["layers"],
        classes=hyper["num_classes"],
        in_channels=state["stem.0.weight"].shape[1],
    )


@pytest.fixture(scope="module")
def run(supernet_file, recorded_in):
    """The recorded numbers, and our supernet with the recorded weights, buffers and alphas."""
    data = recorded_in(supernet_file)
    supernet = supernet_of(data)
    interop.load(supernet, interop.import_supernet(supernet, data["state_dict"]))
    supernet.load_alphas({"normal": data["alphas_normal"], "reduce": data["alphas_reduce"]})
    supernet.double().train()
    batches = {
        split: (data[f"{split}_x"].double(), data[f"{split}_y"]) for split in ("train", "valid") if f"{split}_x" in data
    }
    return SimpleNamespace(supernet=supernet, start=copy.deepcopy(supernet.state_dict()), **batches)


@pytest.fixture
def recorded(supernet_file, recorded_in, run):
    """The recorded quantities; the supernet is as at the start."""
    run.supernet.load_state_dict(run.start)
    return recorded_in(supernet_file)


@pytest.mark.quantities("logits_{mode}_mode")
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_logits_are_the_recorded_ones(supernet_file, run, recorded, agrees, mode):
    expected = recorded[f"logits_{mode}_mode"]
    run.supernet.train(mode == "train")
    with torch.no_grad():
        logits = run.supernet(run.train[0], run.supernet.mixing())
    run.supernet.train()
    agrees(supernet_file, f"logits_{mode}_mode", logits, expected)


@pytest.mark.quantities("train_loss")
def test_the_training_loss_is_the_recorded_one(supernet_file, run, recorded, agrees):
    loss = run.supernet.loss(run.train, run.supernet.mixing()).loss
    agrees(supernet_file, "train_loss", loss, recorded["train_loss"])


@pytest.mark.quantities("grad_w_train")
def test_the_weight_gradient_of_the_training_loss_is_the_recorded_one(supernet_file, run, recorded, agrees):
    loss = run.supernet.loss(run.train, run.supernet.mixing()).loss
    weights = run.supernet.weights()
    gradient = dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))
    theirs = interop.export_supernet(run.supernet, gradient)
    expected = recorded["grad_w_train"]
    assert theirs.keys() == expected.keys()
    for name, values in expected.items():
        agrees(supernet_file, f"grad_w_train {name}", theirs[name], values)


def inner_step(supernet, hyper, buffers):
    imported = interop.import_supernet(supernet, buffers, strict=False) if buffers else {}
    assert imported.keys() == (supernet.weights().keys() if buffers else set())
    return InnerStep(
        lr=hyper["lr"],
        momentum=hyper["momentum"],
        weight_decay=hyper["weight_decay"],
        buffers=[imported[name].double() for name in supernet.weights()] if buffers else None,
        radius=hyper["fd_radius"],
    )


@pytest.mark.quantities("grad_alpha_{order}", "hyper", "momentum_buffers")
@pytest.mark.parametrize(("order", "function"), [("first", first_order), ("second", second_order)])
def test_alpha_gradients_are_the_recorded_ones(supernet_file, run, recorded, agrees, order, function):
    expected = recorded[f"grad_alpha_{order}"]
    inner = inner_step(run.supernet, recorded["hyper"], recorded["momentum_buffers"])
    found = function(run.supernet, run.train, run.valid, inner).gradient
    for cell_type, values in zip(("normal", "reduce"), expected, strict=True):
        agrees(supernet_file, f"grad_alpha_{order} {cell_type}", found[f"alphas.{cell_type}"], values)


@pytest.mark.quantities("masked_loss")
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_the_masked_losses_are_the_recorded_ones(supernet_file, run, recorded, agrees, every):
    for key, expected in [*recorded["masked_loss"].items()][::every]:
        mixing = run.supernet.mixing()
        if key != "none":
            cell_type, edge, column = key.split("/")
            values = {(int(edge), int(column)): 0.0}
            mixing[cell_type] = fix_weights(mixing[cell_type], values)
            run.supernet.fix(cell_type, values)
            for_good = run.supernet.mixing()[cell_type]
            run.supernet.fix(cell_type, None)
            assert torch.equal(for_good.weights, mixing[cell_type].weights)
            assert for_good.alive == mixing[cell_type].alive
        with torch.no_grad():
            loss = run.supernet.loss(run.valid, mixing).loss
        agrees(supernet_file, f"masked_loss {key}", loss, expected)


@pytest.mark.quantities("genotype")
def test_the_derived_genotype_is_the_recorded_one(run, recorded):
    expected = recorded["genotype"]
    cells = {name: (expected[name], expected[f"{name}_concat"]) for name in ("normal", "reduce")}
    assert magnitude(run.supernet) == from_pairs("cnn", cells)


def test_a_recorded_state_comes_back_bit_for_bit_after_import_and_export(supernet_state_file, recorded_in):
    data = recorded_in(supernet_state_file)
    supernet = supernet_of(data)
    interop.load(supernet, interop.import_supernet(supernet, data["state_dict"]))
    exported = interop.export_supernet(supernet, supernet.state_dict())
    # Batch counters of BatchNorms without affine part: the authors store them, nothing reads them.
    without_affine = {
        name
        for name in data["state_dict"]
        if name.endswith("num_batches_tracked") and name.replace("num_batches_tracked", "weight") not in exported
    }
    assert exported.keys() == data["state_dict"].keys() - without_affine
    for name, values in exported.items():
        assert values.dtype == data["state_dict"][name].dtype
        assert torch.equal(values, data["state_dict"][name]), name


def test_an_exported_state_is_imported_bit_for_bit(supernet_state_file, recorded_in):
    supernet = supernet_of(recorded_in(supernet_state_file))
    state = {name: values for name, values in supernet.state_dict().items() if not name.startswith("arch.")}
    again = interop.import_supernet(supernet, interop.export_supernet(supernet, state))
    assert list(again) == list(state)
    for name, values in state.items():
        assert torch.equal(again[name], values), name
