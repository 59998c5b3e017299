"""Sigmoid mixing weights, the zero-one loss and thresholds against numbers recorded from the authors' code."""

import json
import re

import pytest
import torch
from torch import nn

from darts_pl.bilevel import AlphaRecipe, InnerStep, SearchStep, WeightRecipe, first_order
from darts_pl.genotype import CellGenotype, Genotype, Pair, from_pairs
from darts_pl.methods import ZeroOne, ZeroOneSettings
from darts_pl.selection import ThresholdSettings, pairs_above, strongest, without_missing_nodes
from darts_pl.spaces import Classifier, Parts, Sigmoid, build_space, count_parameters, reductions
from tests.parity.recorded import CELL_TYPES, batch, check_weight_pass, supernet_of

pytestmark = pytest.mark.parity
INPUTS = 2


@pytest.fixture(scope="module")
def data(fair_darts_file, recorded_in):
    return recorded_in(fair_darts_file)


@pytest.fixture
def supernet(data):
    return supernet_of(data, Parts(relaxation=Sigmoid()))


def zero_one(data, form="squared", scale=None):
    return ZeroOne(ZeroOneSettings(scale=scale or data["hyper"]["zero_one_weight"], form=form))


def triples(nodes):
    """Pairs by node as the authors write them: operation, node, source."""
    return [[pair.operation, node, pair.source] for node, pairs in enumerate(nodes, start=INPUTS) for pair in pairs]


def nodes_of(recorded, count):
    """The pairs of every node, from triples."""
    return [[Pair(op, source) for op, node, source in recorded if node == INPUTS + index] for index in range(count)]


def sparse(threshold):
    return ThresholdSettings(threshold=threshold, form="sparse")


def test_mixing_weights_and_the_zero_one_loss_are_the_recorded_ones(fair_darts_file, data, supernet, agrees):
    for index, name in enumerate(CELL_TYPES):
        agrees(fair_darts_file, "mixing", supernet.mixing()[name].weights, data["mixing"][index])
    agrees(fair_darts_file, "zero_one_loss", zero_one(data, scale=1.0)(supernet), data["zero_one_loss"])
    agrees(fair_darts_file, "zero_one_loss_l1", zero_one(data, "absolute", 1.0)(supernet), data["zero_one_loss_l1"])


def test_logits_losses_and_weight_gradients_are_the_recorded_ones(fair_darts_file, data, supernet, agrees):
    check_weight_pass(agrees, fair_darts_file, data, supernet, supernet.mixing())
    total = supernet.loss(batch(data, "train"), supernet.mixing()).loss + zero_one(data)(supernet)
    agrees(fair_darts_file, "train_total_loss", total, data["train_total_loss"])


def test_gradients_of_alphas_with_and_without_the_zero_one_loss_are_the_recorded_ones(
    fair_darts_file, data, supernet, agrees
):
    inner = InnerStep(lr=0.1, momentum=0.9, weight_decay=0.0, buffers=None, radius=None)
    found = first_order(supernet, batch(data, "train"), batch(data, "valid"), inner)
    agrees(fair_darts_file, "valid_logits", found.valid.outputs, data["valid_logits"])
    agrees(fair_darts_file, "valid_loss", found.valid.loss, data["valid_loss"])
    term = zero_one(data)(supernet)
    agrees(fair_darts_file, "valid_total_loss", found.valid.loss + term, data["valid_total_loss"])
    extra = torch.autograd.grad(term, [supernet.alphas[name] for name in CELL_TYPES])
    for index, name in enumerate(CELL_TYPES):
        gradient = found.gradient[f"alphas.{name}"]
        agrees(fair_darts_file, "grad_alpha_ce", gradient, data["grad_alpha_ce"][index])
        agrees(fair_darts_file, "grad_alpha_total", gradient + extra[index], data["grad_alpha_total"][index])


def test_steps_of_the_alphas_are_the_recorded_ones(fair_darts_file, data, supernet, agrees):
    hyper = data["hyper"]
    recipe = AlphaRecipe(hyper["arch_lr"], tuple(hyper["arch_betas"]), hyper["arch_weight_decay"])
    step = SearchStep(
        supernet,
        order=first_order,
        weights=WeightRecipe(0.1, 0.0, 0.0, 0.0, None, 1).optimizer(supernet),
        alphas=recipe.optimizer(supernet),
        regulariser=zero_one(data),
        step_weights=lambda: None,  # the recorded steps move the alphas alone
    )
    for number, recorded in enumerate(data["alphas_after_steps"]):
        step(batch(data, "train"), batch(data, "valid"), number)
        for index, name in enumerate(CELL_TYPES):
            agrees(fair_darts_file, "alphas_after_steps", supernet.alphas[name], recorded[index])


def test_the_derived_pairs_are_the_recorded_ones(data, supernet):
    weights = {name: mixing.weights for name, mixing in supernet.mixing().items()}
    found = pairs_above(supernet.space, weights, weights, sparse(data["hyper"]["threshold"]))
    for name in CELL_TYPES:
        assert triples(found[name]) == data["genotype"][name]
        assert list(supernet.space.cells[name].targets) == data["genotype"][f"{name}_concat"]


def test_every_recorded_pair_of_alphas_gives_its_pairs_in_both_forms_and_its_genotype_by_magnitude(
    fair_darts_genotypes_file,
):
    recorded = json.loads(fair_darts_genotypes_file.read_text(encoding="utf-8"))
    names = recorded["candidates"]
    assert recorded["cases"]
    for number, case in enumerate(recorded["cases"]):
        nodes = len(case["darts"]["normal"]) // 2
        space = build_space("cnn", names, nodes)
        weights = {
            name: torch.sigmoid(torch.tensor(case[f"alphas_{name}"], dtype=torch.float64) / case["scale"])
            for name in CELL_TYPES
        }
        for key, form in (("threshold_sparse", "sparse"), ("threshold_edge", "edge")):
            settings = ThresholdSettings(threshold=recorded["threshold"], form=form)
            found = pairs_above(space, weights, weights, settings)
            for name in CELL_TYPES:
                expected = [[names[column], node, source] for column, node, source in case[key][name]]
                assert triples(found[name]) == expected, f"case {number}, {key}"
        concat = list(range(INPUTS, INPUTS + nodes))
        pairs = {
            name: ([(names[column], source) for column, source in case["darts"][name]], concat) for name in CELL_TYPES
        }
        assert strongest(space, weights) == from_pairs("cnn", pairs), f"case {number}"


def final(recorded, hyper):
    """Our network of a recorded genotype with its weights, and how many values of theirs it has no place for.

    They name an operation by its node, its source and its number among those of the same node and source.
    """
    cells, places = {}, {}
    for name in CELL_TYPES:
        count = max(node for _, node, _ in recorded["genotype"][name]) - INPUTS + 1
        given = nodes_of(recorded["genotype"][name], count)
        nodes = without_missing_nodes(given, INPUTS)
        cells[name] = CellGenotype(nodes, tuple(range(INPUTS, INPUTS + len(nodes))))
        present = {*range(INPUTS), *(node for node, pairs in enumerate(given, start=INPUTS) if pairs)}
        places[name] = [
            f"{node}.{source}.{sum(other.source == source for other in pairs[:index])}"
            for node, pairs in enumerate(given, start=INPUTS)
            for index, (_, source) in enumerate(pairs)
            if source in present
        ]
    network = Classifier(
        Genotype("cnn", cells),
        init_channels=hyper["init_channels"],
        layers=hyper["layers"],
        classes=hyper["num_classes"],
    )
    theirs, used = recorded["state_dict"], {}
    for name in network.state_dict():
        layer = re.match(r"cells\.(\d+)\.operations\.(\d+)\.", name)
        if layer:
            kind = "reduce" if int(layer[1]) in reductions(hyper["layers"]) else "normal"
            used[name] = f"cells.{layer[1]}._ops.{places[kind][int(layer[2])]}.{name[layer.end() :]}"
        else:
            used[name] = name
    state = {name: theirs.get(key) for name, key in used.items()}
    missing = [name for name, value in state.items() if value is None]
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    network.load_state_dict({name: value for name, value in state.items() if value is not None}, strict=False)
    left = [key for key in theirs if key not in used.values() and "running_" not in key]
    return network.double(), sum(theirs[key].numel() for key in left)


def test_networks_with_missing_nodes_and_several_inputs_compute_what_was_recorded(
    fair_darts_final_file, recorded_in, agrees
):
    data = recorded_in(fair_darts_final_file)
    images, labels = data["x"].double(), data["y"]
    for recorded in data["nets"]:
        network, unused = final(recorded, data["hyper"])
        # Theirs keeps the weights of an operation that reads a missing node and is never computed.
        assert count_parameters(network) + unused == recorded["parameters"]
        widths = [len(cell.concat) for cell in network.cells]
        assert widths == recorded["cell_multipliers"]
        with torch.no_grad():
            agrees(fair_darts_final_file, "logits_eval_mode", network.eval()(images), recorded["logits_eval_mode"])
        logits = network.train()(images)
        loss = nn.functional.cross_entropy(logits, labels)
        agrees(fair_darts_final_file, "logits_train_mode", logits, recorded["logits_train_mode"])
        agrees(fair_darts_final_file, "train_loss", loss, recorded["train_loss"])
        gradient = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True, materialize_grads=True)
        norm = torch.stack([part.norm() for part in gradient]).norm()
        agrees(fair_darts_final_file, "grad_w_norm", norm, recorded["grad_w_norm"])
