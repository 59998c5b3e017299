"""The plain supernet of these tests against numbers recorded from the authors' code, in float64.

This shows that the description is complete; the product's supernet is compared with both.
"""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy, elu

from darts_pl.spaces.nasbench201 import parse_text
from tests.spaces.nasbench201 import plain_supernet as plain

pytestmark = pytest.mark.parity


def in_float64(values):
    """The tensors of a recording widened to float64, whole numbers left as they are."""
    return {k: v.double() if torch.is_tensor(v) and v.is_floating_point() else v for k, v in values.items()}


def read(path):
    """A recording: all of its `data`, the `state` with buffers, the `weights` alone, and the two batches."""
    data = in_float64(torch.load(path, weights_only=True))
    state = in_float64(data["state_dict"])
    weights = {name: values for name, values in state.items() if "running_" not in name}
    batches = {split: (data[f"{split}_x"], data[f"{split}_y"]) for split in ("train", "valid")}
    return SimpleNamespace(data=data, state=state, weights=weights, **batches)


def flat(gradients):
    return torch.cat([values.flatten() for values in gradients])


def softmax(alphas):
    return alphas.softmax(1)


def loss_and_gradients(weights, alphas, batch, mixing=softmax, **choices):
    """Loss, its gradient in the alphas, and that in every weight (zero where a weight is not reached)."""
    inputs = [values.detach().requires_grad_() for values in (alphas, *weights.values())]
    state = dict(zip(weights, inputs[1:], strict=True))
    loss = cross_entropy(plain.logits(batch[0], state, mixing(inputs[0]), **choices), batch[1])
    of_alphas, *of_weights = torch.autograd.grad(loss, inputs, materialize_grads=True)
    return loss.detach(), of_alphas, dict(zip(weights, of_weights, strict=True))


def unrolled_gradient(weights, alphas, train, valid, hyper, buffers, **choices):
    """Valid loss after a virtual step, and its second-order gradient in the alphas by central differences."""
    lr, momentum, decay = hyper["lr"], hyper["momentum"], hyper["weight_decay"]
    _, _, gradient = loss_and_gradients(weights, alphas, train, **choices)
    ahead = {}
    for name, values in weights.items():
        ahead[name] = values - lr * (momentum * buffers.get(name, 0) + gradient[name] + decay * values)
    loss, direct, vector = loss_and_gradients(ahead, alphas, valid, **choices)
    step = hyper["radius"] / flat(vector.values()).norm()
    sides = []
    for signed in (step, -step):
        moved = {name: values + signed * vector[name] for name, values in weights.items()}
        sides.append(loss_and_gradients(moved, alphas, train, **choices)[1])
    return loss, direct - lr * (sides[0] - sides[1]) / (2 * step)


def test_logits_in_every_mode_are_the_recorded_ones(darts_file, agrees):
    run = read(darts_file)
    untracked = {name.rpartition(".")[0] for name in run.data["untracked_buffers"]}
    modes = {
        "logits_train_mode": {},
        "logits_eval_mode": {"stored": lambda name: True},
        "logits_eval_mode_untracked": {"stored": untracked.__contains__},
        "logits_train_mode_nats": {"last_affine": False},
        # The later version keeps no running statistics in its last BatchNorm either.
        "logits_eval_mode_nats": {"stored": (untracked - {"lastact.0"}).__contains__, "last_affine": False},
    }
    for name, choices in modes.items():
        found = plain.logits(run.train[0], run.state, softmax(run.data["alphas"]), **choices)
        agrees(darts_file, name, found, run.data[name])
    features = plain.features(run.train[0], run.state, softmax(run.data["alphas"]))
    agrees(darts_file, "features_train_mode", features, run.data["features_train_mode"])


def test_losses_and_first_order_gradients_are_the_recorded_ones(darts_file, agrees):
    run = read(darts_file)
    alphas, names = run.data["alphas"], run.data["parameter_names"]
    loss, of_alphas, of_weights = loss_and_gradients(run.weights, alphas, run.train)
    agrees(darts_file, "train_loss", loss, run.data["train_loss"])
    agrees(darts_file, "grad_alpha_train", of_alphas, run.data["grad_alpha_train"])
    agrees(darts_file, "grad_w_norms", torch.stack([of_weights[n].norm() for n in names]), run.data["grad_w_norms"])
    agrees(darts_file, "grad_w_norm", flat(of_weights.values()).norm(), run.data["grad_w_norm"])
    loss, of_alphas, _ = loss_and_gradients(run.weights, alphas, run.valid)
    agrees(darts_file, "valid_loss", loss, run.data["valid_loss"])
    agrees(darts_file, "grad_alpha_first", of_alphas, run.data["grad_alpha_first"])
    agrees(
        darts_file, "valid_logits", plain.logits(run.valid[0], run.weights, softmax(alphas)), run.data["valid_logits"]
    )


def test_second_order_gradients_are_the_recorded_ones(darts_file, agrees):
    run = read(darts_file)
    assert run.data["momentum_buffers"] == "-0.25 * weight, for every weight of parameter_names"
    full = {name: -0.25 * run.weights[name] for name in run.data["parameter_names"]}
    for ending, buffers in (("_no_momentum", {}), ("", full)):
        loss, gradient = unrolled_gradient(
            run.weights, run.data["alphas"], run.train, run.valid, run.data["hyper"], buffers
        )
        agrees(darts_file, f"unrolled_loss{ending}", loss, run.data[f"unrolled_loss{ending}"])
        agrees(darts_file, f"grad_alpha_second{ending}", gradient, run.data[f"grad_alpha_second{ending}"])


#: By recorded trajectory: whether the alphas move first, whether their gradient is of second order,
#: whether gradients are clipped, and whether the last BatchNorm has an affine part.
TRAJECTORIES = {
    "v1": (False, False, True, True),
    "v2": (True, True, True, True),
    "nats_v1": (False, False, False, False),
    "nats_v2": (False, True, False, False),
}


@pytest.mark.parametrize("version", TRAJECTORIES)
def test_trajectories_are_the_recorded_ones(darts_file, agrees, version):
    run = read(darts_file)
    alphas_first, second_order, clipped, last_affine = TRAJECTORIES[version]
    hyper, choices = run.data["hyper"], {"last_affine": last_affine}
    weights = {n: run.weights[n] for n in run.data["parameter_names"] if last_affine or not n.startswith("lastact")}
    for values in (alphas := run.data["alphas"], *weights.values()):
        values.requires_grad_()
    sgd = torch.optim.SGD(
        weights.values(), hyper["lr"], hyper["momentum"], weight_decay=hyper["weight_decay"], nesterov=True
    )
    adam = torch.optim.Adam(
        [alphas], hyper["arch_lr"], betas=hyper["arch_betas"], weight_decay=hyper["arch_weight_decay"]
    )
    alphas.grad = torch.zeros_like(alphas)

    def alpha_step():
        if second_order:
            buffers = {n: state["momentum_buffer"] for n, w in weights.items() if (state := sgd.state.get(w))}
            loss, gradient = unrolled_gradient(weights, alphas, train, valid, hyper, buffers, **choices)
        else:
            loss, gradient, _ = loss_and_gradients(weights, alphas, valid, **choices)
        alphas.grad = gradient
        adam.step()
        return {"valid_loss": loss}

    def weight_step():
        loss, of_alphas, of_weights = loss_and_gradients(weights, alphas, train, **choices)
        for name, values in weights.items():
            values.grad = of_weights[name]
        # The published code leaves the gradient of the last alpha step in place and clips both together.
        alphas.grad += of_alphas
        norms = {
            "grad_norm_weights_only": flat(of_weights.values()).norm(),
            "clip_norm_with_alphas": flat([alphas.grad, *of_weights.values()]).norm(),
        }
        if clipped:
            torch.nn.utils.clip_grad_norm_([*weights.values(), alphas], hyper["grad_clip"])
        sgd.step()
        return {"train_loss": loss, **norms}

    batches = in_float64(run.data["batches"])
    for index, recorded in enumerate(run.data["trajectories"][version]):
        train, valid = ((batches[f"{split}_x"][index], batches[f"{split}_y"][index]) for split in ("train", "valid"))
        found = {}
        for step in (alpha_step, weight_step) if alphas_first else (weight_step, alpha_step):
            found |= step()
        found |= {"alphas": alphas, "weight_norm": flat(weights.values()).norm()}
        for name, value in recorded.items():
            value = torch.as_tensor(value, dtype=torch.float64)
            agrees(darts_file, f"trajectory {version} {name}", found[name], value)


def test_a_drawn_path_gives_the_recorded_numbers(gdas_file, agrees):
    run = read(gdas_file)
    (alphas,) = run.data["alphas"]
    alphas = alphas.double()
    for draw in run.data["draws"]:
        x, y = run.train if draw["input"] == "train" else run.valid
        gumbel, index = draw["gumbel"][0].double(), draw["index"][0]

        def weights_of(alphas, gumbel=gumbel, tau=draw["tau"], index=index):
            p = ((alphas.log_softmax(1) + gumbel) / tau).softmax(1)
            assert torch.equal(p.argmax(1), index)
            return torch.nn.functional.one_hot(index, 5) - p.detach() + p

        label = f"draw {draw['input']} tau={draw['tau']}"
        h = weights_of(alphas)
        agrees(gdas_file, f"{label} hardwts", h, draw["hardwts"][0])
        agrees(gdas_file, f"{label} logits", plain.logits(x, run.weights, h, edge=plain.drawn), draw["logits"])
        loss, of_alphas, of_weights = loss_and_gradients(run.weights, alphas, (x, y), weights_of, edge=plain.drawn)
        agrees(gdas_file, f"{label} loss", loss, draw["loss"])
        agrees(gdas_file, f"{label} grad_alpha", of_alphas, draw["grad_alpha"][0])
        norms = torch.stack([of_weights[name].norm() for name in run.data["state_dict"]])
        agrees(gdas_file, f"{label} grad_w_norms", norms, draw["grad_w_norms"])
        agrees(gdas_file, f"{label} grad_w_norm", flat(of_weights.values()).norm(), draw["grad_w_norm"])
        of_h = loss_and_gradients(run.weights, h, (x, y), lambda h: h, edge=plain.drawn)[1]
        agrees(gdas_file, f"{label} grad_hardwts", of_h, draw["grad_hardwts"][0])


def test_partial_channels_with_dirichlet_samples_give_the_recorded_numbers(drnas_file, agrees):
    run = read(drnas_file)
    data, alphas = run.data, run.data["alphas"].requires_grad_()
    assert data["mask"].all()
    edge = plain.partial(data["hyper"]["partial_k"])
    concentration = elu(alphas) + 1
    agrees(drnas_file, "concentration", concentration, data["concentration"])

    sample = data["samples_train"]
    agrees(
        drnas_file,
        "logits_train_mode",
        plain.logits(run.train[0], run.weights, sample, edge=edge),
        data["logits_train_mode"],
    )
    loss, _, of_weights = loss_and_gradients(run.weights, sample, run.train, lambda sample: sample, edge=edge)
    agrees(drnas_file, "train_loss", loss, data["train_loss"])
    norms = torch.stack([of_weights[name].norm() for name in data["state_dict"]])
    agrees(drnas_file, "grad_w_norms", norms, data["grad_w_norms"])
    agrees(drnas_file, "grad_w_norm", flat(of_weights.values()).norm(), data["grad_w_norm"])

    sample = data["samples_valid"]
    agrees(drnas_file, "valid_logits", plain.logits(run.valid[0], run.weights, sample, edge=edge), data["valid_logits"])
    loss, of_sample, _ = loss_and_gradients(run.weights, sample, run.valid, lambda sample: sample, edge=edge)
    agrees(drnas_file, "valid_loss", loss, data["valid_loss"])
    agrees(drnas_file, "grad_samples_valid", of_sample, data["grad_samples_valid"])

    # dL/dc from dL/dx at the recorded sample, then through c = elu(alpha) + 1.
    centred = of_sample - (sample * of_sample).sum(1, keepdim=True)
    total = concentration.sum(1, keepdim=True).expand_as(concentration)
    of_concentration = torch._dirichlet_grad(sample, concentration.detach(), total.detach()) * centred
    (of_alphas,) = torch.autograd.grad(concentration, alphas, of_concentration)
    agrees(drnas_file, "grad_alpha_first", of_alphas, data["grad_alpha_first"])
    prior = torch.distributions.Dirichlet(torch.ones_like(concentration))
    divergence = torch.distributions.kl_divergence(torch.distributions.Dirichlet(concentration), prior).sum()
    agrees(drnas_file, "kl_reg", data["hyper"]["reg_scale"] * divergence, data["kl_reg"])


def test_the_largest_alpha_of_each_edge_is_the_recorded_genotype(darts_file, gdas_file, drnas_file):
    for path in (darts_file, gdas_file, drnas_file):
        alphas = torch.load(path, weights_only=True)["alphas"]
        alphas = alphas[0] if isinstance(alphas, list) else alphas
        assert tuple(alphas.argmax(1).tolist()) == parse_text(read(path).data["genotype"]), path.name
