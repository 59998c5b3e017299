"""Partial channels and edge weights against numbers recorded from the authors' code, in float64."""

import json

import pytest
import torch

from darts_pl.bilevel import InnerStep, first_order
from darts_pl.genotype import from_pairs
from darts_pl.selection import magnitude
from darts_pl.spaces import CnnSupernet, PartialChannels, PartialChannelsSettings, Parts, build_space
from tests.paper import CANDIDATES
from tests.parity.recorded import CELL_TYPES, batch, check_weight_pass, supernet_of

pytestmark = pytest.mark.parity


def edges(k):
    return PartialChannels(PartialChannelsSettings(k=k, edge_weights=True))


@pytest.fixture(scope="module")
def data(pc_darts_file, recorded_in):
    return recorded_in(pc_darts_file)


@pytest.fixture
def supernet(data):
    found = supernet_of(data, Parts(edges=edges(data["hyper"]["partial_k"])))
    with torch.no_grad():
        for name in CELL_TYPES:
            found.arch.betas[name].copy_(data[f"betas_{name}"])
    return found


def test_mixing_weights_and_edge_weights_are_the_recorded_ones(pc_darts_file, data, supernet, agrees):
    for index, mixing in enumerate(supernet.mixing()[name] for name in CELL_TYPES):
        agrees(pc_darts_file, "mixing_alpha", mixing.weights, data["mixing_alpha"][index])
        agrees(pc_darts_file, "mixing_beta", mixing.edges, data["mixing_beta"][index])


def test_logits_loss_and_weight_gradients_are_the_recorded_ones(pc_darts_file, data, supernet, agrees):
    check_weight_pass(agrees, pc_darts_file, data, supernet, supernet.mixing())


def test_gradients_of_alphas_and_betas_are_the_recorded_ones(pc_darts_file, data, supernet, agrees):
    inner = InnerStep(lr=0.1, momentum=0.9, weight_decay=0.0, buffers=None, radius=None)
    found = first_order(supernet, batch(data, "train"), batch(data, "valid"), inner)
    agrees(pc_darts_file, "valid_logits", found.valid.outputs, data["valid_logits"])
    agrees(pc_darts_file, "valid_loss", found.valid.loss, data["valid_loss"])
    for index, name in enumerate(CELL_TYPES):
        agrees(pc_darts_file, "grad_alpha_first", found.gradient[f"alphas.{name}"], data["grad_alpha_first"][index])
        agrees(pc_darts_file, "grad_beta_first", found.gradient[f"betas.{name}"], data["grad_beta_first"][index])


def test_the_genotype_counts_edge_weights_as_recorded(data, supernet):
    expected = data["genotype"]
    cells = {name: (expected[name], expected[f"{name}_concat"]) for name in CELL_TYPES}
    assert magnitude(supernet) == from_pairs("cnn", cells)


def test_every_recorded_pair_of_alphas_and_betas_gives_its_genotype(pc_darts_genotypes_file):
    cases = json.loads(pc_darts_genotypes_file.read_text(encoding="utf-8"))
    assert cases
    assert not any(torch.tensor(cases[-1]["betas_normal"]))  # all zero: nothing but ties
    for number, case in enumerate(cases):
        nodes = len(case["normal"]) // 2
        space = build_space("cnn", case.get("candidates", CANDIDATES), nodes)
        supernet = CnnSupernet(space, init_channels=4, layers=3, classes=2, parts=Parts(edges=edges(4))).double()
        for name in CELL_TYPES:
            supernet.alphas[name].data = torch.tensor(case[f"alphas_{name}"], dtype=torch.float64)
            supernet.arch.betas[name].data = torch.tensor(case[f"betas_{name}"], dtype=torch.float64)
        cells = {name: (case[name], list(range(2, 2 + nodes))) for name in CELL_TYPES}
        assert magnitude(supernet) == from_pairs("cnn", cells), f"case {number}"
