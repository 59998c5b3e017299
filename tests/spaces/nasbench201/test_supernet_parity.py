"""The product's search network against numbers recorded from the authors' code, in float64."""

import json
from types import SimpleNamespace

import pytest
import torch

from darts_pl.bilevel import Draws, InnerStep, SearchStep, first_order, identity_mean, second_order
from darts_pl.genotype import parse
from darts_pl.selection import magnitude, strongest
from darts_pl.spaces import Mixing, build_space
from darts_pl.spaces.nasbench201 import OPERATIONS
from tests.spaces.nasbench201.published_names import published_norms, supernet_of

pytestmark = pytest.mark.parity

SPACE = build_space("nasbench201", OPERATIONS, 3)


def read(path, **choices):
    """A recording: all of its `data`, the product's supernet, and the two batches."""
    data = torch.load(path, weights_only=True)
    batches = {split: (data[f"{split}_x"].double(), data[f"{split}_y"]) for split in ("train", "valid")}
    return SimpleNamespace(data=data, supernet=supernet_of(data, **choices), **batches)


def test_logits_in_every_mode_are_the_recorded_ones(darts_file, agrees):
    run = read(darts_file)
    images, mixing = run.train[0], run.supernet.mixing()
    agrees(darts_file, "features_train_mode", run.supernet.features(images, mixing), run.data["features_train_mode"])
    with torch.no_grad():
        agrees(darts_file, "valid_logits", run.supernet(run.valid[0], mixing), run.data["valid_logits"])
    # A pass in training mode moves the running statistics, so every mode starts from the recorded ones.
    for mode in ("train", "eval"):
        for tracked in (False, True):
            supernet = read(darts_file, track_statistics=tracked).supernet.train(mode == "train")
            name = f"logits_{mode}_mode{'' if tracked or mode == 'train' else '_untracked'}"
            agrees(darts_file, name, supernet(images, supernet.mixing()), run.data[name])
        supernet = read(darts_file, last_affine=False).supernet.train(mode == "train")
        supernet.lastact.train()  # the later version keeps no running statistics in its last BatchNorm either
        name = f"logits_{mode}_mode_nats"
        agrees(darts_file, name, supernet(images, supernet.mixing()), run.data[name])


def test_losses_and_first_order_gradients_are_the_recorded_ones(darts_file, agrees):
    run = read(darts_file)
    weights, data = run.supernet.weights(), run.data
    loss = run.supernet.loss(run.train, run.supernet.mixing()).loss
    of_alphas, *found = torch.autograd.grad(loss, [run.supernet.alphas["cell"], *weights.values()])
    gradients = dict(zip(weights, found, strict=True))
    agrees(darts_file, "train_loss", loss, data["train_loss"])
    agrees(darts_file, "grad_alpha_train", of_alphas, data["grad_alpha_train"])
    norms = published_norms(run.supernet, gradients, data["parameter_names"])
    agrees(darts_file, "grad_w_norms", norms, data["grad_w_norms"])
    agrees(darts_file, "grad_w_norm", norms.norm(), data["grad_w_norm"])
    result = first_order(run.supernet, run.train, run.valid, InnerStep(lr=data["hyper"]["lr"]))
    agrees(darts_file, "valid_loss", result.valid.loss, data["valid_loss"])
    agrees(darts_file, "grad_alpha_first", result.gradient["alphas.cell"], data["grad_alpha_first"])


def test_second_order_gradients_are_the_recorded_ones(darts_file, agrees):
    run = read(darts_file)
    hyper = run.data["hyper"]
    assert run.data["momentum_buffers"] == "-0.25 * weight, for every weight of parameter_names"
    full = [-0.25 * weight.detach() for weight in run.supernet.weights().values()]
    for ending, buffers in (("_no_momentum", None), ("", full)):
        inner = InnerStep(
            lr=hyper["lr"],
            momentum=hyper["momentum"],
            weight_decay=hyper["weight_decay"],
            buffers=buffers,
            radius=hyper["radius"],
        )
        result = second_order(run.supernet, run.train, run.valid, inner)
        agrees(darts_file, f"unrolled_loss{ending}", result.valid.loss, run.data[f"unrolled_loss{ending}"])
        name = f"grad_alpha_second{ending}"
        agrees(darts_file, name, result.gradient["alphas.cell"], run.data[name])


#: By recorded trajectory: whether the alphas move first, the order of their gradient, whether gradients are
#: clipped, and whether the last BatchNorm has an affine part.
TRAJECTORIES = {
    "v1": (False, first_order, True, True),
    "v2": (True, second_order, True, True),
    "nats_v1": (False, first_order, False, False),
    "nats_v2": (False, second_order, False, False),
}


class Biases:
    """The published convolutions in cells have biases before a BatchNorm: their gradient is zero, but they decay
    and count in the recorded norm of the weights."""

    def __init__(self, data):
        state, self.hyper = data["state_dict"], data["hyper"]
        self.values = [v.double() for name, v in state.items() if name.endswith(".op.1.bias")]
        self.optimizer = torch.optim.SGD(
            [values.requires_grad_() for values in self.values],
            self.hyper["lr"],
            self.hyper["momentum"],
            weight_decay=self.hyper["weight_decay"],
            nesterov=True,
        )

    def step(self):
        for values in self.values:
            values.grad = torch.zeros_like(values)
        self.optimizer.step()


@pytest.mark.parametrize("version", TRAJECTORIES)
def test_trajectories_are_the_recorded_ones(darts_file, agrees, version):
    alphas_first, order, clipped, last_affine = TRAJECTORIES[version]
    run = read(darts_file, last_affine=last_affine)
    supernet, hyper, biases = run.supernet, run.data["hyper"], Biases(run.data)
    sgd = torch.optim.SGD(
        supernet.weights().values(), hyper["lr"], hyper["momentum"], weight_decay=hyper["weight_decay"], nesterov=True
    )
    adam = torch.optim.Adam(
        supernet.architecture().values(),
        hyper["arch_lr"],
        betas=hyper["arch_betas"],
        weight_decay=hyper["arch_weight_decay"],
    )
    step = SearchStep(supernet, order=order, weights=sgd, alphas=adam, radius=hyper["radius"])

    def alpha_step():
        result = order(supernet, train, valid, step.inner_step(), identity_mean, Draws(0, 0))
        supernet.alphas["cell"].grad = result.gradient["alphas.cell"]
        adam.step()
        adam.zero_grad()
        return {"valid_loss": result.valid.loss}

    def weight_step():
        # The published code clips weights and the left-over gradient of the alphas together.
        if clipped:
            own, together = recorded["grad_norm_weights_only"], recorded["clip_norm_with_alphas"]
            step.grad_clip = hyper["grad_clip"] * (own + 1e-6) / (together + 1e-6) if together > 5 else None
        result = step(train, valid, 0, move_alphas=False)
        biases.step()
        return {"train_loss": result.train.loss, "grad_norm_weights_only": result.norm}

    batches = run.data["batches"]
    for index, recorded in enumerate(run.data["trajectories"][version]):
        train, valid = (
            (batches[f"{split}_x"][index].double(), batches[f"{split}_y"][index]) for split in ("train", "valid")
        )
        found = {}
        for one in (alpha_step, weight_step) if alphas_first else (weight_step, alpha_step):
            found |= one()
        weights = [*supernet.weights().values(), *biases.values]
        found |= {
            "alphas": supernet.alphas["cell"],
            "weight_norm": torch.cat([values.detach().flatten() for values in weights]).norm(),
        }
        for name, value in recorded.items():
            if name != "clip_norm_with_alphas":  # the norm of the published quirk is read above
                value = torch.as_tensor(value, dtype=torch.float64)
                agrees(darts_file, f"trajectory {version} {name}", found[name], value, tolerance=1e-8)


def test_the_weights_of_one_drawn_path_give_the_recorded_logits_and_losses(gdas_file, agrees):
    run = read(gdas_file)
    for draw in run.data["draws"]:
        batch = run.train if draw["input"] == "train" else run.valid
        weights = torch.nn.functional.one_hot(draw["index"][0], len(OPERATIONS)).double()
        alive = tuple(tuple(bool(value) for value in row) for row in weights)
        outcome = run.supernet.loss(batch, {"cell": Mixing(weights, alive=alive)})
        label = f"draw {draw['input']} tau={draw['tau']}"
        agrees(gdas_file, f"{label} logits", outcome.outputs, draw["logits"])
        agrees(gdas_file, f"{label} loss", outcome.loss, draw["loss"])
        own = run.supernet.weights()
        found = torch.autograd.grad(outcome.loss, list(own.values()), materialize_grads=True)
        names = [name for name in run.data["state_dict"] if "running" not in name]
        norms = published_norms(run.supernet, dict(zip(own, found, strict=True)), names)
        agrees(gdas_file, f"{label} grad_w_norms", norms, draw["grad_w_norms"])


def test_the_selected_genotype_is_the_recorded_one(darts_file):
    run = read(darts_file)
    assert str(magnitude(run.supernet)) == run.data["genotype"]
    assert magnitude(run.supernet) == parse(run.data["genotype"])


def test_the_largest_alpha_of_every_edge_is_selected_none_included(genotypes_file):
    recorded = json.loads(genotypes_file.read_text())
    cases = recorded["cases"] if isinstance(recorded, dict) else recorded
    assert any("none" in case["genotype"] for case in cases)
    for case in cases:
        alphas = torch.tensor(case["alphas"], dtype=torch.float64)
        genotype = strongest(SPACE, {"cell": alphas.softmax(1)})
        assert str(genotype) == case["genotype"]
        assert parse(genotype.to_json()) == genotype == parse(case["genotype"])
