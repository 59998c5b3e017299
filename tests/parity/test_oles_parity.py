"""Frozen operations against numbers recorded from the OLES authors' code, in float64."""

import json

import pytest
import torch

from darts_pl import interop
from darts_pl.bilevel import AlphaRecipe, SearchStep, WeightRecipe, first_order
from darts_pl.methods import Freeze, FreezeSettings, watched_operations
from darts_pl.selection.magnitude import strongest
from darts_pl.spaces import Parts, build_space
from tests.parity.recorded import CELL_TYPES, supernet_of

pytestmark = pytest.mark.parity

#: Takes the place of "none" where a recorded genotype may have it, as ours may not.
IN_PLACE_OF_NONE = "noise"


@pytest.fixture(scope="module")
def data(oles_file, recorded_in):
    return recorded_in(oles_file)


class Recording(Freeze):
    """Keeps the similarities of every step, and when which operation was frozen."""

    def __init__(self, settings):
        super().__init__(settings)
        self.seen, self.stopped_at, self.step = [], {}, 0

    def on_step_start(self, step, search):
        super().on_step_start(step, search)
        self.step = step
        if step == 0:
            self.seen.append(torch.full_like(self._sums, torch.nan))

    def _judge(self, similarity):
        self.seen.append(similarity)
        before = self._stopped.clone()
        super()._judge(similarity)
        for operation in (self._stopped & ~before).nonzero().flatten().tolist():
            self.stopped_at[operation] = self.step


class ZeroGradients(Recording):
    """Gives frozen operations gradients of zero instead, under which momentum and weight decay go on."""

    def on_weight_gradient(self, step, gradients):
        for name, mask in super().frozen_entries().items():
            gradients[name] = gradients[name].masked_fill(mask, 0.0)

    def frozen_entries(self):
        return {}


def their_names(net):
    """The authors' name of each watched operation of ours, such as "cells.0._ops.3._ops.2"."""
    weights, found = net.weights(), []
    for one in watched_operations(net):
        parts = interop.export_supernet(net, {one.names[0]: weights[one.names[0]]})
        found += [".".join(name.split(".")[:6]) for name in parts]
    return found


def searched(data, observer):
    """Train losses, norms of all weights, and norms of the gradient, by step; and the network."""
    hyper = data["hyper"]
    net = supernet_of(data, Parts())
    step = SearchStep(
        net,
        order=first_order,
        weights=WeightRecipe(
            hyper["lr"], 0.0, hyper["momentum"], hyper["weight_decay"], hyper["grad_clip"], 1
        ).optimizer(net),
        alphas=AlphaRecipe(hyper["arch_lr"], tuple(hyper["arch_betas"]), hyper["arch_weight_decay"]).optimizer(net),
        grad_clip=hyper["grad_clip"],
        observers=[observer],
    )
    losses, weight_norms, gradient_norms = [], [], []
    for number, (train, valid) in enumerate(zip(data["order"], data["valid_order"], strict=True)):
        batches = [
            (data[f"{split}_x"][index].double(), data[f"{split}_y"][index])
            for split, index in (("train", train), ("valid", valid))
        ]
        result = step(*batches, number)
        losses.append(result.train.loss)
        gradient_norms.append(result.norm)
        weight_norms.append(torch.cat([values.detach().flatten() for values in net.weights().values()]).norm())
    return torch.stack(losses), torch.stack(weight_norms), torch.stack(gradient_norms), net


@pytest.mark.parametrize(
    ("variant", "kind", "added"),
    [
        ("as_in_code", Recording, True),
        pytest.param("as_in_code_zeroed_grads_kept", ZeroGradients, True, marks=pytest.mark.slow),
        ("validation_gradient_alone", Recording, False),
    ],
)
def test_a_search_with_frozen_operations_is_the_recorded_one(oles_file, data, agrees, variant, kind, added):
    recorded, hyper = data[variant], data["hyper"]
    observer = kind(FreezeSettings(window=hyper["window"], threshold=hyper["threshold"], added=added))
    losses, weights, norms, net = searched(data, observer)
    names = their_names(net)
    assert set(names) == set(data["as_in_code"]["monitored"])
    frozen = sorted([step, names[operation]] for operation, step in observer.stopped_at.items())
    assert frozen == sorted(recorded["frozen"])
    agrees(oles_file, "train_loss", losses, recorded["train_loss"])
    agrees(oles_file, "weight_norm", weights, recorded["weight_norm"])
    if "grad_norm" in recorded:
        agrees(oles_file, "grad_norm", norms, recorded["grad_norm"])
    if "similarity" in recorded:
        columns = [names.index(name) for name in data["as_in_code"]["monitored"]]
        similarity = torch.stack(observer.seen)[:, columns]
        there = ~recorded["similarity"].isnan()
        assert torch.equal(~similarity.isnan(), there)
        agrees(oles_file, "similarity", similarity[there], recorded["similarity"][there])
    if "alphas" in recorded:
        for found, expected in zip(net.alphas.values(), recorded["alphas"], strict=True):
            agrees(oles_file, "alphas", found, expected)


def derived(alphas, candidates):
    """The pairs of each cell type, as [number of the candidate, source]; "none" may be chosen, as in their code."""
    names = [IN_PLACE_OF_NONE if name == "none" else name for name in candidates]
    space = build_space("cnn", names, nodes_of(alphas))
    genotype = strongest(
        space, {name: torch.softmax(values, 1) for name, values in zip(CELL_TYPES, alphas, strict=True)}
    )
    return [[[names.index(pair.operation), pair.source] for pair in genotype.cells[name].pairs] for name in CELL_TYPES]


def nodes_of(alphas):
    return next(nodes for nodes in range(1, 20) if sum(range(2, 2 + nodes)) == len(alphas[0]))


def test_every_recorded_pair_of_alphas_gives_its_genotype(oles_genotypes_file):
    recorded = json.loads(oles_genotypes_file.read_text(encoding="utf-8"))
    assert recorded["cases"]
    for number, case in enumerate(recorded["cases"]):
        alphas = [torch.tensor(case[f"alphas_{name}"], dtype=torch.float64) / case["scale"] for name in CELL_TYPES]
        assert derived(alphas, recorded["candidates"]) == [case[name] for name in CELL_TYPES], f"case {number}"


def test_the_recorded_alphas_give_the_recorded_genotype(data):
    alphas = [data[f"alphas_{name}"].double() for name in CELL_TYPES]
    expected = [
        [[data["candidates"].index(operation), source] for operation, source in data["genotype"][name]]
        for name in CELL_TYPES
    ]
    assert derived(alphas, data["candidates"]) == expected


def test_every_recorded_sequence_of_similarities_freezes_where_recorded(oles_genotypes_file):
    recorded = json.loads(oles_genotypes_file.read_text(encoding="utf-8"))
    assert recorded["freeze_sequences"]
    for sequence in recorded["freeze_sequences"]:
        observer = Freeze(FreezeSettings(window=20, threshold=0.4, added=True))
        sums = torch.zeros(1, dtype=torch.float64)
        observer.load_state_dict(observer.state_dict() | {"sums": sums, "counts": sums, "stopped": sums.bool()})
        observer._refresh = lambda: None  # there is no supernet here
        found = None
        for number, similarity in enumerate(sequence["similarities"]):
            observer._judge(torch.tensor([similarity], dtype=torch.float64))
            if observer.state_dict()["stopped"].any():
                found = number
                break
        assert found == sequence["frozen_at"]
