"""The parts of GDAS and DrNAS on this space, as a search uses them, against recorded numbers, in float64."""

import json

import pytest
import torch

from darts_pl.bilevel import InnerStep, first_order
from darts_pl.genotype import parse
from darts_pl.methods import DirichletDivergence, DirichletDivergenceSettings
from darts_pl.selection import softmax_magnitude
from darts_pl.selection.pairs import preview_pairs
from darts_pl.spaces import (
    GumbelSettings,
    NasBench201Supernet,
    PartialChannels,
    PartialChannelsSettings,
    Parts,
    SinglePath,
    SinglePathSettings,
    build_space,
)
from darts_pl.spaces.nasbench201 import OPERATIONS
from tests.parity.recorded import batch
from tests.parity.test_dr_nas_parity import RecordedSamples
from tests.parity.test_gdas_parity import RecordedNoise
from tests.spaces.nasbench201.published_names import published_norms, supernet_of

pytestmark = pytest.mark.parity

TEMPERATURES = GumbelSettings(tau_max=10.0, tau_min=0.1)


def gradients_of_weights(supernet, loss, names):
    own = supernet.weights()
    found = torch.autograd.grad(loss, list(own.values()), materialize_grads=True, retain_graph=True)
    return published_norms(supernet, dict(zip(own, found, strict=True)), names)


def test_one_drawn_path_of_gdas_has_the_recorded_logits_and_gradients(gdas_file, agrees):
    data = torch.load(gdas_file, weights_only=True)
    relaxation = RecordedNoise(TEMPERATURES)
    supernet = supernet_of(data, parts=Parts(relaxation=relaxation, edges=SinglePath(SinglePathSettings(undrawn=True))))
    parameters = [name for name in data["state_dict"] if "running" not in name]
    for draw in data["draws"]:
        relaxation.tau, relaxation.noise = draw["tau"], [noise.double() for noise in draw["gumbel"]]
        mixing = supernet.mixing(sample=True)
        outcome = supernet.loss(batch(data, draw["input"]), mixing)
        label = f"parts of gdas, draw {draw['input']} tau={draw['tau']}"
        assert [row.index(True) for row in mixing["cell"].alive] == draw["index"][0].tolist()
        agrees(gdas_file, f"{label} hardwts", mixing["cell"].weights, draw["hardwts"][0])
        agrees(gdas_file, f"{label} logits", outcome.outputs, draw["logits"])
        agrees(gdas_file, f"{label} loss", outcome.loss, draw["loss"])
        norms = gradients_of_weights(supernet, outcome.loss, parameters)
        agrees(gdas_file, f"{label} grad_w_norms", norms, draw["grad_w_norms"])
        agrees(gdas_file, f"{label} grad_w_norm", norms.norm(), draw["grad_w_norm"])
        of_weights, of_alphas = torch.autograd.grad(outcome.loss, [mixing["cell"].weights, supernet.alphas["cell"]])
        agrees(gdas_file, f"{label} grad_hardwts", of_weights, draw["grad_hardwts"][0])
        agrees(gdas_file, f"{label} grad_alpha", of_alphas, draw["grad_alpha"][0])
    assert str(preview_pairs(supernet)) == data["genotype"]


def test_the_rule_of_gdas_gives_the_recorded_genotypes(gdas_genotypes_file):
    sizes = {"channels": 2, "cells": 1, "classes": 2}
    supernet = NasBench201Supernet(build_space("nasbench201", OPERATIONS, 3), **sizes).double()
    recorded = json.loads(gdas_genotypes_file.read_text())
    for case in recorded["cases"] if isinstance(recorded, dict) else recorded:
        supernet.load_alphas({"cell": torch.tensor(case["alphas"], dtype=torch.float64)})
        assert preview_pairs(supernet) == parse(case["genotype"])


def test_partial_channels_with_dirichlet_samples_of_dr_nas_have_the_recorded_numbers(drnas_file, agrees):
    data = torch.load(drnas_file, weights_only=True)
    relaxation = RecordedSamples()
    edges = PartialChannels(PartialChannelsSettings(k=data["hyper"]["partial_k"], edge_weights=False))
    supernet = supernet_of(data, parts=Parts(relaxation=relaxation, edges=edges))
    agrees(drnas_file, "parts: concentration", relaxation.concentration(supernet.alphas["cell"]), data["concentration"])
    divergence = DirichletDivergence(DirichletDivergenceSettings(scale=data["hyper"]["reg_scale"]))
    agrees(drnas_file, "parts: kl_reg", divergence(supernet), data["kl_reg"])

    relaxation.samples = [data["samples_train"].double()]
    outcome = supernet.loss(batch(data, "train"), supernet.mixing(sample=True))
    agrees(drnas_file, "parts: logits_train_mode", outcome.outputs, data["logits_train_mode"])
    agrees(drnas_file, "parts: train_loss", outcome.loss, data["train_loss"])
    norms = gradients_of_weights(supernet, outcome.loss, list(data["state_dict"]))
    agrees(drnas_file, "parts: grad_w_norms", norms, data["grad_w_norms"])
    agrees(drnas_file, "parts: grad_w_norm", norms.norm(), data["grad_w_norm"])

    relaxation.samples = [data["samples_valid"].double()] * 2  # of both passes below
    mixing = supernet.mixing(sample=True)
    (of_sample,) = torch.autograd.grad(supernet.loss(batch(data, "valid"), mixing).loss, [mixing["cell"].weights])
    agrees(drnas_file, "parts: grad_samples_valid", of_sample, data["grad_samples_valid"])
    result = first_order(supernet, batch(data, "train"), batch(data, "valid"), InnerStep(lr=0.1))
    agrees(drnas_file, "parts: valid_logits", result.valid.outputs, data["valid_logits"])
    agrees(drnas_file, "parts: valid_loss", result.valid.loss, data["valid_loss"])
    agrees(drnas_file, "parts: grad_alpha_first", result.gradient["alphas.cell"], data["grad_alpha_first"])
    assert str(softmax_magnitude(supernet)) == data["genotype"]
