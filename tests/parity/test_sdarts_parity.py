"""Perturbed mixing weights against numbers recorded from the SmoothDARTS authors' code, in float64."""

from functools import partial

import pytest
import torch
from torch import nn

from darts_pl import interop
from darts_pl.bilevel import AlphaRecipe, SearchStep, WeightRecipe, first_order, identity_mean
from darts_pl.methods import (
    AdversarialPerturbation,
    AdversarialPerturbationSettings,
    RandomPerturbation,
    RandomPerturbationSettings,
    as_mixing,
)
from darts_pl.ops import EdgeByEdge
from darts_pl.spaces import Parts, Skip
from tests.parity.recorded import CELL_TYPES, batch, supernet_of

pytestmark = pytest.mark.parity


class PoolsOfTheirOwn(Skip):
    """Gives the pooling of each edge a BatchNorm with running statistics of its own, as the authors' code has it."""

    def wrap(self, name, operation, stride):
        kind = {"max_pool_3x3": nn.MaxPool2d, "avg_pool_3x3": partial(nn.AvgPool2d, count_include_pad=False)}.get(name)
        if kind is None:
            return operation
        channels = operation.bn.num_features
        each = [
            nn.Sequential(kind(3, stride=stride, padding=1), nn.BatchNorm2d(channels, affine=False))
            for _ in range(operation.edges)
        ]
        return EdgeByEdge(each)


class Recorded:
    """Takes recorded noise instead of drawing it, cell type by cell type."""

    noise = ()

    def draw(self, like, generator):
        noise, *self.noise = self.noise
        return noise.to(like)


class RecordedRandom(Recorded, RandomPerturbation):
    """SDARTS-RS with recorded noise."""


class RecordedAdversary(Recorded, AdversarialPerturbation):
    """SDARTS-ADV with recorded noise, which keeps what it has seen."""

    def __init__(self, settings):
        super().__init__(settings)
        self.within_epsilon = []

    def within(self, present, moved):
        self.within_epsilon.append(super().within(present, moved))
        return self.within_epsilon[-1]


def parameters_only(state):
    return {
        name: values for name, values in state.items() if not name.rsplit(".", 1)[-1].startswith(("running_", "num_"))
    }


def network(data):
    """The supernet with recorded weights and recorded running statistics."""
    state = data["state_dict"]
    net = supernet_of(data | {"state_dict": parameters_only(state)}, Parts(skip=PoolsOfTheirOwn()))
    net.load_state_dict(interop.import_supernet(net, state, strict=False), strict=False)
    return net.double().train()


@pytest.fixture(scope="module")
def data(sdarts_file, recorded_in):
    return recorded_in(sdarts_file)


def adversary(epsilon, steps, random_start, noise):
    settings = AdversarialPerturbationSettings(
        epsilon_min=epsilon, epsilon_max=epsilon, steps=steps, random_start=random_start
    )
    found = RecordedAdversary(settings)
    found.noise = list(noise)
    return found


def perturbed(perturbation, net, train):
    mixing = {name: values._replace(weights=values.weights.detach()) for name, values in net.mixing().items()}
    return perturbation(net, mixing, train, torch.Generator(), identity_mean)


def losses_seen(net):
    """The losses of all passes from now on."""
    seen, loss = [], net.loss

    def observed(*arguments):
        outcome = loss(*arguments)
        seen.append(outcome.loss.detach())
        return outcome

    net.loss = observed
    return seen


def test_rows_become_mixing_weights_as_recorded(sdarts_file, data, agrees):
    cases = data["clip_cases"]
    before = cases["before"].double()
    agrees(sdarts_file, "clip_cases", as_mixing(before, torch.ones(len(before), 1).double()), cases["after"])


def test_attacks_take_the_recorded_steps_and_end_at_the_recorded_mixing_weights(sdarts_file, data, agrees):
    for attack in data["attacks"]:
        net, steps = network(data), attack["steps"]
        perturbation = adversary(attack["epsilon"], steps, attack["use_random_start"], attack["random_start"])
        assert attack["step_size"] == pytest.approx(2 * attack["epsilon"] / steps, rel=1e-12)
        for index, name in enumerate(CELL_TYPES):
            agrees(sdarts_file, "start", net.mixing()[name].weights, attack["start"][index])
        seen = losses_seen(net)
        start = {name: values.weights.detach() for name, values in net.mixing().items()}
        visited = []
        evaluate = net.loss

        def loss(batch, mixing, evaluate=evaluate, visited=visited):
            visited.append([mixing[name].weights.detach() for name in CELL_TYPES])
            return evaluate(batch, mixing)

        net.loss = loss
        found = perturbed(perturbation, net, batch(data, "train"))
        agrees(sdarts_file, "losses", torch.stack(seen), torch.tensor(attack["losses"], dtype=torch.float64))
        first = 1 if attack["use_random_start"] else 2  # before them: the start, and without noise the start again
        assert len(visited[first:]) == len(attack["after_clip"])
        for ours, theirs in zip(visited[first:], attack["after_clip"], strict=True):
            for index in range(2):
                agrees(sdarts_file, "after_clip", ours[index], theirs[index])
        for index, name in enumerate(CELL_TYPES):
            agrees(sdarts_file, "result", found[name].weights, attack["result"][index])
        reverted = all(torch.equal(found[name].weights, start[name]) for name in CELL_TYPES)
        assert reverted == attack["reverted"]


class Seen:
    """Notes what the weight step saw."""

    needs_valid_weight_gradient = False

    def __init__(self, net):
        self.net = net

    def frozen_entries(self):
        return {}

    def on_step_start(self, step, search):
        pass

    def on_alpha_gradient(self, step, result):
        pass

    def on_weight_gradient(self, step, gradients):
        self.alphas = [values.detach().clone() for values in self.net.alphas.values()]
        self.gradients = dict(gradients)

    def on_clipped_gradient(self, step, gradients):
        pass

    def on_weights_stepped(self, step):
        pass


@pytest.mark.parametrize("kind", ["rs_steps", "adv_steps"])
def test_a_step_of_the_search_is_the_recorded_one(sdarts_file, data, agrees, kind):
    hyper, parameters = data["hyper"], parameters_only(data["state_dict"])
    for recorded in data[kind]:
        net, epsilon = network(data), recorded["epsilon"]
        if kind == "rs_steps":
            perturbation = RecordedRandom(RandomPerturbationSettings(epsilon_min=epsilon, epsilon_max=epsilon))
            perturbation.noise = list(recorded["draws"])
        else:
            perturbation = adversary(epsilon, len(recorded["attack_losses"]) - 2, True, recorded["draws"])
        # Theirs leaves the trace of the valid pass in the running statistics, which the attack then reads.
        with torch.no_grad():
            net.loss(batch(data, "valid"), net.mixing())
        agrees(sdarts_file, "running_mean", net.stem[1].running_mean, recorded["running_mean_stem_at_perturbation"])
        passes, evaluate = [], net.loss

        def loss(batch, mixing, evaluate=evaluate, passes=passes):
            outcome = evaluate(batch, mixing)
            passes.append((outcome, [mixing[name].weights.detach() for name in CELL_TYPES]))
            return outcome

        net.loss = loss
        seen = Seen(net)
        step = SearchStep(
            net,
            order=first_order,
            weights=WeightRecipe(
                hyper["lr"], 0.0, hyper["momentum"], hyper["weight_decay"], hyper["grad_clip"], 1
            ).optimizer(net),
            alphas=AlphaRecipe(hyper["arch_lr"], tuple(hyper["arch_betas"]), hyper["arch_weight_decay"]).optimizer(net),
            grad_clip=hyper["grad_clip"],
            perturbation=perturbation,
            observers=[seen],
        )
        result = step(batch(data, "train"), batch(data, "valid"), 0)
        outcome, mixing = passes[-1]
        for index in range(2):
            agrees(
                sdarts_file, "alphas_after_alpha_step", seen.alphas[index], recorded["alphas_after_alpha_step"][index]
            )
            softmax = torch.softmax(seen.alphas[index], dim=1)
            agrees(sdarts_file, "softmax", softmax, recorded["softmax"][index])
            agrees(sdarts_file, "mixing", mixing[index], recorded["mixing"][index])
            agrees(sdarts_file, "alphas_after", list(net.alphas.values())[index], recorded["alphas_after"][index])
        agrees(sdarts_file, "logits_train_mode", outcome.outputs, recorded["logits_train_mode"])
        agrees(sdarts_file, "train_loss", result.train.loss, recorded["train_loss"])
        agrees(sdarts_file, "grad_w_norm", result.norm, recorded["grad_w_norm"])
        theirs = interop.export_supernet(net, seen.gradients)
        norms = torch.stack([theirs[name].norm() for name in parameters])
        agrees(sdarts_file, "grad_w_norms", norms, recorded["grad_w_norms"])
        moved = torch.cat([values.detach().flatten() for values in net.weights().values()]).norm()
        agrees(sdarts_file, "weight_norm_after", moved, recorded["weight_norm_after"])
        if kind == "adv_steps":
            attack = torch.stack([outcome.loss.detach() for outcome, _ in passes[1:-1]])
            expected = torch.tensor(recorded["attack_losses"], dtype=torch.float64)
            agrees(sdarts_file, "attack_losses", attack, expected)
            reverted = all(
                torch.equal(*pair) for pair in zip(mixing, [torch.softmax(a, 1) for a in seen.alphas], strict=True)
            )
            assert reverted == recorded["reverted"]
