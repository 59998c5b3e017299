"""One drawn path per pass against numbers recorded from the GDAS code, in float64."""

import json
import re

import pytest
import torch

from darts_pl.genotype import CellGenotype, Pair
from darts_pl.selection.pairs import preview_pairs, strongest_pairs
from darts_pl.spaces import (
    CnnSupernet,
    Gumbel,
    GumbelSettings,
    Parts,
    SearchSpace,
    SinglePath,
    SinglePathSettings,
    build_space,
)
from tests.parity.recorded import CELL_TYPES, batch, load_weights, weight_norms
from tests.spaces.nasbench201 import plain_supernet

pytestmark = pytest.mark.parity

#: Their names of operations and ours.
OURS = {
    "dua_sepc_3x3": "sep_conv_3x3",
    "dua_sepc_5x5": "sep_conv_5x5",
    "dil_sepc_3x3": "dil_conv_3x3",
    "dil_sepc_5x5": "dil_conv_5x5",
}
#: Their names of tensors and those of the DARTS code, in this order.
RENAMED = (
    (r"\._ops\.(\d+)\.op_a\.", r"._ops.\1."),
    (r"\._ops\.(\d+)\.op_b\.op\.1\.", r"._ops.\1.op.5."),
    (r"\._ops\.(\d+)\.op_b\.op\.2\.", r"._ops.\1.op.6."),
    (r"\.convs\.0\.", ".conv_1."),
    (r"\.convs\.1\.", ".conv_2."),
    (r"\.ops1\.", ".convolutions."),
)
#: The one bias that no BatchNorm removes.
NARROW_BIAS = re.compile(r"cells\.\d+\.ops1\.\d\.1\.bias")


class RecordedNoise(Gumbel):
    """Takes the recorded noise instead of drawing it, cell type by cell type."""

    def __init__(self, settings):
        super().__init__(settings)
        self.noise = []

    def draw(self, like, generator):
        return self.noise.pop(0)


def renamed(name, edges):
    name = re.sub(r"\.edges\.(\d+<-\d+)\.", lambda found: f"._ops.{edges.index(found[1])}.", name)
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def candidates_of(data):
    return [OURS.get(name, name) for name in data["candidates"]]


@pytest.fixture(scope="module")
def data(gdas_file, recorded_in):
    return recorded_in(gdas_file)


@pytest.fixture(scope="module")
def weights_by_their_names(data):
    """What our supernet has: all but the biases that a BatchNorm removes."""
    return {
        name: values
        for name, values in data["state_dict"].items()
        if NARROW_BIAS.fullmatch(name) or not (name.endswith(".bias") and name.startswith("cells."))
    }


@pytest.fixture(scope="module")
def supernet(data, weights_by_their_names):
    space = build_space("cnn", candidates_of(data), 4)
    cells = dict(zip(CELL_TYPES[: len(data["alphas"])], space.cells.values(), strict=False))
    supernet = CnnSupernet(
        SearchSpace("cnn", cells),
        init_channels=data["hyper"]["init_channels"],
        layers=3 * data["hyper"]["N"],
        classes=data["hyper"]["num_classes"],
        pool_norm=False,
        last_norm=True,
        parts=Parts(
            relaxation=RecordedNoise(GumbelSettings(tau_max=10.0, tau_min=0.1)),
            edges=SinglePath(SinglePathSettings(undrawn=False)),
        ),
    )
    load_weights(supernet, {renamed(name, data["edges"]): values for name, values in weights_by_their_names.items()})
    supernet.load_alphas(dict(zip(cells, data["alphas"], strict=True)))
    return supernet.double().train()


def drawn_mixing(supernet, draw):
    supernet.arch.relaxation.tau = draw["tau"]
    supernet.arch.relaxation.noise = list(draw["gumbel"])
    return supernet.mixing(sample=True)


def test_the_drawn_operations_and_their_weights_are_the_recorded_ones(gdas_file, data, supernet, agrees):
    for draw in data["draws"]:
        for index, mixing in enumerate(drawn_mixing(supernet, draw).values()):
            agrees(gdas_file, "hardwts", mixing.weights, draw["hardwts"][index])
            assert [row.index(True) for row in mixing.alive] == draw["index"][index].tolist()
            assert all(sum(row) == 1 for row in mixing.alive)


def test_logits_loss_and_weight_gradients_are_the_recorded_ones(
    gdas_file, data, supernet, weights_by_their_names, agrees
):
    ours = {renamed(name, data["edges"]): name for name in weights_by_their_names}
    for draw in data["draws"]:
        outcome = supernet.loss(batch(data, draw["input"]), drawn_mixing(supernet, draw))
        agrees(gdas_file, "logits", outcome.outputs, draw["logits"])
        agrees(gdas_file, "loss", outcome.loss, draw["loss"])
        norm, norms = weight_norms(supernet, outcome.loss, ours)
        agrees(gdas_file, "grad_w_norm", norm, draw["grad_w_norm"])
        by_name = dict(zip(ours.values(), norms, strict=True))
        nothing = norms.new_zeros(())  # the gradient of a bias that a BatchNorm removes
        agrees(
            gdas_file,
            "grad_w_norms",
            torch.stack([by_name.get(name, nothing) for name in data["state_dict"]]),
            draw["grad_w_norms"],
        )


def test_gradients_of_drawn_weights_and_alphas_are_the_recorded_ones(gdas_file, data, supernet, agrees):
    for draw in data["draws"]:
        mixing = drawn_mixing(supernet, draw)
        loss = supernet.loss(batch(data, draw["input"]), mixing).loss
        drawn = [values.weights for values in mixing.values()]
        found = torch.autograd.grad(loss, [*drawn, *supernet.architecture().values()])
        for index in range(len(drawn)):
            agrees(gdas_file, "grad_hardwts", found[index], draw["grad_hardwts"][index])
            agrees(gdas_file, "grad_alpha", found[len(drawn) + index], draw["grad_alpha"][index])


def cell_of(nodes, concat=(2, 3, 4, 5)):
    return CellGenotype(
        tuple(tuple(Pair(OURS.get(name, name), source) for name, source in node) for node in nodes), tuple(concat)
    )


def test_the_derived_cells_are_the_recorded_ones(data, supernet):
    weights = {name: torch.softmax(alphas.detach(), dim=-1) for name, alphas in supernet.alphas.items()}
    both = weights | {"reduce": weights.get("reduce", weights["normal"])}
    found = strongest_pairs(build_space("cnn", candidates_of(data), 4), both)
    for name in supernet.alphas:
        assert found.cells[name] == cell_of(data["genotype"][name], data["genotype"][f"{name}_concat"])


def test_every_recorded_pair_of_alphas_gives_its_genotype(gdas_genotypes_file, recorded_in):
    cases = json.loads(gdas_genotypes_file.read_text(encoding="utf-8"))
    names = ["none", "skip_connect", *OURS.values(), "avg_pool_3x3", "max_pool_3x3"]
    assert cases
    for number, case in enumerate(cases):
        space = build_space("cnn", names, len(case["normal"]))
        supernet = CnnSupernet(
            space,
            init_channels=2,
            layers=3,
            classes=2,
            parts=Parts(relaxation=Gumbel(GumbelSettings(tau_max=10.0, tau_min=0.1))),
        ).double()
        supernet.load_alphas({name: torch.tensor(case[f"alphas_{name}"], dtype=torch.float64) for name in CELL_TYPES})
        found = preview_pairs(supernet)
        for name in CELL_TYPES:
            assert found.cells[name] == cell_of(case[name]), f"case {number}"


def test_in_the_nasbench201_space_drawn_weights_and_alpha_gradients_are_the_recorded_ones(
    gdas_nasbench201_file, recorded_in, agrees
):
    data = recorded_in(gdas_nasbench201_file)
    state = {name: values.double() for name, values in data["state_dict"].items()}
    relaxation = RecordedNoise(GumbelSettings(tau_max=10.0, tau_min=0.1))
    alphas = data["alphas"][0].double().requires_grad_()
    for draw in data["draws"]:
        relaxation.tau, relaxation.noise = draw["tau"], list(draw["gumbel"])
        weights, alive = relaxation.sampled(alphas, None, None)
        assert [row.index(True) for row in alive] == draw["index"][0].tolist()
        agrees(gdas_nasbench201_file, "hardwts", weights, draw["hardwts"][0])
        images, labels = batch(data, draw["input"])
        logits = plain_supernet.logits(images, state, weights, edge=plain_supernet.drawn)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        agrees(gdas_nasbench201_file, "loss", loss, draw["loss"])
        (found,) = torch.autograd.grad(loss, alphas)
        agrees(gdas_nasbench201_file, "grad_alpha", found, draw["grad_alpha"][0])
