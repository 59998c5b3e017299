"""Dirichlet mixing weights, pruning and widening against numbers recorded from the authors' code, in float64."""

import json

import pytest
import torch

from darts_pl.bilevel import InnerStep, first_order
from darts_pl.genotype import from_pairs
from darts_pl.methods import DirichletDivergence, DirichletDivergenceSettings, widen
from darts_pl.methods.widening import Copies
from darts_pl.methods.widening_stages import strongest_alphas
from darts_pl.selection import softmax_magnitude
from darts_pl.spaces import CnnSupernet, Dirichlet, PartialChannels, PartialChannelsSettings, Parts, build_space
from tests.parity.recorded import CELL_TYPES, batch, check_weight_pass, supernet_of

pytestmark = pytest.mark.parity


class RecordedSamples(Dirichlet):
    """Takes the recorded samples instead of drawing them, cell type by cell type."""

    def __init__(self):
        super().__init__()
        self.samples = []

    def draw(self, like, generator):
        return self.samples.pop(0)


@pytest.fixture(scope="module")
def data(drnas_file, recorded_in):
    return recorded_in(drnas_file)


@pytest.fixture
def supernet(data):
    edges = PartialChannels(PartialChannelsSettings(k=data["hyper"]["partial_k"], edge_weights=False))
    found = supernet_of(data, Parts(relaxation=RecordedSamples(), edges=edges))
    for name in CELL_TYPES:
        found.keep(name, data[f"mask_{name}"].tolist())
    return found


def sampled(supernet, samples):
    supernet.arch.relaxation.samples = list(samples)
    return supernet.mixing(sample=True)


def test_concentrations_and_masked_samples_are_the_recorded_ones(drnas_file, data, supernet, agrees):
    mixing = sampled(supernet, data["samples_valid"])
    for index, name in enumerate(CELL_TYPES):
        concentration = supernet.arch.relaxation.concentration(supernet.alphas[name])
        agrees(drnas_file, "concentration", concentration, data["concentration"][index])
        agrees(drnas_file, "mixing_valid", mixing[name].weights, data["mixing_valid"][index])


def test_logits_loss_and_weight_gradients_are_the_recorded_ones(drnas_file, data, supernet, agrees):
    check_weight_pass(agrees, drnas_file, data, supernet, sampled(supernet, data["samples_train"]))


def test_gradients_of_mixing_weights_and_alphas_are_the_recorded_ones(drnas_file, data, supernet, agrees):
    mixing = sampled(supernet, data["samples_valid"])
    outcome = supernet.loss(batch(data, "valid"), mixing)
    agrees(drnas_file, "valid_logits", outcome.outputs, data["valid_logits"])
    agrees(drnas_file, "valid_loss", outcome.loss, data["valid_loss"])
    found = torch.autograd.grad(outcome.loss, [mixing[name].weights for name in CELL_TYPES])
    for index, name in enumerate(CELL_TYPES):
        # A removed candidate is not computed here; theirs is, and their mask then cuts its gradient off.
        living = data[f"mask_{name}"]
        expected = data["grad_mixing_valid"][index].where(living, 0.0)
        agrees(drnas_file, "grad_mixing_valid", found[index], expected)
        sample = data["samples_valid"][index].clone().requires_grad_()
        masked = sample * living
        # Theirs divides by the sum only where a candidate was removed.
        mixed = masked if living.all() else masked / masked.sum(-1, keepdim=True)
        (of_sample,) = torch.autograd.grad(mixed, sample, found[index])
        agrees(drnas_file, "grad_samples_valid", of_sample, data["grad_samples_valid"][index])
    supernet.arch.relaxation.samples = list(data["samples_valid"])
    inner = InnerStep(lr=0.1, momentum=0.9, weight_decay=0.0, buffers=None, radius=None)
    gradient = first_order(supernet, batch(data, "train"), batch(data, "valid"), inner).gradient
    for index, name in enumerate(CELL_TYPES):
        agrees(drnas_file, "grad_alpha_first", gradient[f"alphas.{name}"], data["grad_alpha_first"][index])


def test_the_gradient_of_a_sample_is_torchs_own_as_recorded(drnas_file, data, supernet, agrees):
    for index, name in enumerate(CELL_TYPES):
        sample, relaxation = data["samples_valid"][index], supernet.arch.relaxation
        relaxation.samples = [sample]
        concentration = data["concentration"][index].clone().requires_grad_()
        total = concentration.detach().sum(-1, keepdim=True).expand_as(concentration)
        ours = torch._dirichlet_grad(sample, concentration.detach(), total)
        agrees(drnas_file, "dirichlet_grad", ours, data["dirichlet_grad"][index])
        alphas = supernet.alphas[name].detach().clone().requires_grad_()
        weights, _ = relaxation.sampled(alphas, None, None)
        (found,) = torch.autograd.grad(weights, alphas, data["grad_samples_valid"][index])
        agrees(drnas_file, "grad_alpha_of_samples", found, data["grad_alpha_first"][index])


def test_the_divergence_and_its_gradient_are_the_recorded_ones(drnas_file, data, supernet, agrees):
    regulariser = DirichletDivergence(DirichletDivergenceSettings(scale=data["hyper"]["reg_scale"]))
    term = regulariser(supernet)
    agrees(drnas_file, "kl_reg", term, data["kl_reg"])
    loss = supernet.loss(batch(data, "valid"), sampled(supernet, data["samples_valid"])).loss + term
    agrees(drnas_file, "valid_loss_kl", loss, data["valid_loss_kl"])
    found = torch.autograd.grad(loss, [supernet.alphas[name] for name in CELL_TYPES])
    for index in range(len(found)):
        agrees(drnas_file, "grad_alpha_first_kl", found[index], data["grad_alpha_first_kl"][index])


def genotype_of(recorded):
    nodes = len(recorded["normal"]) // 2
    return from_pairs("cnn", {name: (recorded[name], list(range(2, 2 + nodes))) for name in CELL_TYPES})


def test_the_derived_genotype_is_the_recorded_one(data, supernet):
    assert softmax_magnitude(supernet) == genotype_of(data["genotype"])


def test_alphas_are_pruned_and_give_genotypes_as_recorded(drnas_genotypes_file):
    recorded = json.loads(drnas_genotypes_file.read_text(encoding="utf-8"))
    space = build_space("cnn", recorded["candidates"], 4)
    assert recorded["cases"]
    for number, case in enumerate(recorded["cases"]):
        supernet = CnnSupernet(space, init_channels=2, layers=3, classes=2).double()
        supernet.load_alphas({name: torch.tensor(case[f"alphas_{name}"], dtype=torch.float64) for name in CELL_TYPES})
        assert softmax_magnitude(supernet) == genotype_of(case["genotype"]), f"case {number}"
        for count, pruned in zip(case["keep"] or [], case.get("pruned", []), strict=True):
            for name in CELL_TYPES:
                kept = strongest_alphas(supernet.alphas[name], supernet.arch.live(name), count)
                assert kept == torch.tensor(pruned[f"mask_{name}"]).bool().tolist(), f"case {number}, {count} kept"
                supernet.keep(name, kept)
            assert softmax_magnitude(supernet) == genotype_of(pruned["genotype"]), f"case {number}, {count} kept"


def test_weights_and_momentum_become_wider_as_recorded(drnas_wider_file, recorded_in, agrees):
    for edge in recorded_in(drnas_wider_file)["edges"]:
        for name, index in edge["index"].items():
            copies = Copies(index["out_index"], index.get("in_index"))
            for before, after in (("before", "after"), ("momentum_before", "momentum_after")):
                agrees(drnas_wider_file, after, widen(edge[before][name].double(), copies), edge[after][name])
