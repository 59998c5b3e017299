"""The recurrent search network and the language models against numbers recorded from the authors' code, in float64."""

import copy
import json
from types import SimpleNamespace

import pytest
import torch

from darts_pl import interop
from darts_pl.bilevel import InnerStep, first_order, second_order
from darts_pl.genotype import from_pairs
from darts_pl.selection import magnitude
from darts_pl.selection.magnitude import strongest
from darts_pl.spaces import LanguageModel, RnnSupernet, build_space, slowness
from darts_pl.zoo import published

CANDIDATES = ("none", "tanh", "relu", "sigmoid", "identity")

pytestmark = pytest.mark.parity


def nodes_of(edges):
    """Node i (from 1 on) of a recurrent cell is entered by i edges."""
    nodes = 0
    while edges > 0:
        nodes += 1
        edges -= nodes
    assert edges == 0
    return nodes


@pytest.fixture(scope="module")
def run(rnn_supernet_file, recorded_in):
    """The recorded numbers, and our supernet with the recorded weights, buffers and alphas."""
    data = recorded_in(rnn_supernet_file)
    edges, count = data["alphas"].shape
    candidates = data.get("candidates", CANDIDATES)
    assert len(candidates) == count
    space = build_space("rnn", candidates, nodes_of(edges))
    supernet = RnnSupernet(space, vocabulary=data["hyper"]["vocabulary"], units=data["hyper"]["hidden"])
    interop.load(supernet, interop.import_recurrent(supernet, data["state_dict"]))
    supernet.load_alphas({"recurrent": data["alphas"]})
    supernet.double()
    batches = {
        split: (data[f"{split}_x"], data[f"{split}_y"], data[f"hidden_{split}"][0].double())
        for split in ("train", "valid")
    }
    return SimpleNamespace(supernet=supernet, start=copy.deepcopy(supernet.state_dict()), **batches)


@pytest.fixture
def recorded(rnn_supernet_file, recorded_in, run):
    """The recorded quantities; the supernet is as at the start, in train mode."""
    run.supernet.load_state_dict(run.start)
    run.supernet.train()
    return recorded_in(rnn_supernet_file)


def sequence_of(run, mode):
    run.supernet.train(mode == "train")
    with torch.no_grad():
        return run.supernet(run.train[0], run.train[2], run.supernet.mixing())


@pytest.mark.quantities("log_prob_{mode}_mode")
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_log_probabilities_are_the_recorded_ones(rnn_supernet_file, run, recorded, agrees, mode):
    found = sequence_of(run, mode).logits.log_softmax(-1)
    agrees(rnn_supernet_file, f"log_prob_{mode}_mode", found, recorded[f"log_prob_{mode}_mode"])


@pytest.mark.quantities("next_hidden_{mode}_mode")
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_next_hidden_state_is_the_recorded_one(rnn_supernet_file, run, recorded, agrees, mode):
    found = sequence_of(run, mode).outputs[-1:]
    agrees(rnn_supernet_file, f"next_hidden_{mode}_mode", found, recorded[f"next_hidden_{mode}_mode"])


@pytest.mark.quantities("loss_train")
def test_the_training_loss_is_the_recorded_one(rnn_supernet_file, run, recorded, agrees):
    outcome = run.supernet.loss(run.train, run.supernet.mixing())
    agrees(rnn_supernet_file, "loss_train", outcome.loss, recorded["loss_train"])


@pytest.mark.quantities("loss_train_with_tar_beta_1e-3")
def test_the_training_loss_with_slowness_is_the_recorded_one(rnn_supernet_file, run, recorded, agrees):
    outcome = run.supernet.loss(run.train, run.supernet.mixing())
    with_slowness = outcome.loss + 1e-3 * slowness(outcome.outputs)
    agrees(rnn_supernet_file, "loss_train_with_tar", with_slowness, recorded["loss_train_with_tar_beta_1e-3"])


@pytest.mark.quantities("grad_norm_train")
def test_the_norm_of_the_training_gradient_is_the_recorded_one(rnn_supernet_file, run, recorded, agrees):
    outcome = run.supernet.loss(run.train, run.supernet.mixing())
    gradient = torch.autograd.grad(outcome.loss, list(run.supernet.weights().values()))
    agrees(rnn_supernet_file, "grad_norm_train", torch.nn.utils.get_total_norm(gradient), recorded["grad_norm_train"])


@pytest.mark.quantities("grad_alpha_{order}", "hyper")
@pytest.mark.parametrize(("order", "function"), [("first", first_order), ("second", second_order)])
def test_alpha_gradients_are_the_recorded_ones(rnn_supernet_file, run, recorded, agrees, order, function):
    expected, hyper = recorded[f"grad_alpha_{order}"], recorded["hyper"]
    inner = InnerStep(lr=hyper["lr"], weight_decay=hyper["weight_decay"], clip=hyper["clip"], radius=hyper["fd_radius"])
    found = function(run.supernet, run.train, run.valid, inner).gradient
    agrees(rnn_supernet_file, f"grad_alpha_{order}", found["alphas.recurrent"], expected)


@pytest.mark.quantities("genotype")
def test_the_derived_genotype_is_the_recorded_one(run, recorded):
    expected = recorded["genotype"]
    assert magnitude(run.supernet) == from_pairs("rnn", {"recurrent": (expected["recurrent"], expected["concat"])})


def test_a_recorded_state_comes_back_bit_for_bit_after_import_and_export(rnn_supernet_file, recorded_in, run, recorded):
    theirs = recorded["state_dict"]
    exported = interop.export_recurrent(run.supernet.float().state_dict())
    run.supernet.double()
    assert exported.keys() == theirs.keys() - {"rnns.0.bn.num_batches_tracked"}  # nothing reads this count
    for name, values in exported.items():
        assert torch.equal(values, theirs[name]), name


def test_every_recorded_table_of_alphas_gives_its_genotype(rnn_genotypes_file):
    entries = json.loads(rnn_genotypes_file.read_text(encoding="utf-8"))
    assert entries
    for number, entry in enumerate(entries):
        space = build_space("rnn", entry.get("candidates", CANDIDATES), len(entry["recurrent"]))
        weights = {"recurrent": torch.softmax(torch.tensor(entry["alphas"], dtype=torch.float64), dim=-1)}
        expected = from_pairs("rnn", {"recurrent": (entry["recurrent"], entry["concat"])})
        assert strongest(space, weights) == expected, f"{rnn_genotypes_file.name}, entry {number}"


def test_a_language_model_gives_the_recorded_log_probabilities(language_model_file, recorded_in, agrees):
    data = recorded_in(language_model_file)
    hyper = data["hyper"]
    network = LanguageModel(
        published(f"{data['arch'].lower()}_rnn"), vocabulary=hyper["vocabulary"], units=hyper["hidden"]
    )
    imported = interop.import_recurrent(network, data["state_dict"])
    interop.load(network, imported)
    exported = interop.export_recurrent(network.state_dict())
    assert exported.keys() == data["state_dict"].keys()
    assert all(torch.equal(exported[name], values) for name, values in data["state_dict"].items())
    network.double().eval()
    with torch.no_grad():
        sequence = network(data["x"], data["hidden"][0].double())
    agrees(language_model_file, "log_prob_eval_mode", sequence.logits.log_softmax(-1), data["log_prob_eval_mode"])
    agrees(language_model_file, "next_hidden", sequence.outputs[-1:], data["next_hidden"])
