"""P-DARTS's stages, dropout on skip connections and derivation against numbers recorded from the authors' code."""

import json

import pytest
import torch

from darts_pl.bilevel import InnerStep, first_order
from darts_pl.genotype import from_pairs
from darts_pl.methods import DeepeningStages, DeepeningStagesSettings, strongest_candidates
from darts_pl.selection.magnitude import strongest
from darts_pl.selection.skip_limit import limit_skips
from darts_pl.spaces import CnnSupernet, DropoutSkip, DropoutSkipSettings, DroppedIdentity, Parts, build_space
from tests.parity.recorded import CELL_TYPES, batch, check_weight_pass, supernet_of

pytestmark = pytest.mark.parity
SKIP = "skip_connect"
#: Skip connections that the published search leaves in the normal cell.
MOST_SKIPS = 2


class RecordedDropout(DropoutSkip):
    """Keeps what the recording kept: every skip connection is given its masks after the network is built."""

    def wrap(self, name, operation, stride):
        wrapped = super().wrap(name, operation, stride)
        if isinstance(wrapped, DroppedIdentity):
            wrapped.keep = lambda like: wrapped.kept
        return wrapped


@pytest.fixture(scope="module")
def data(p_darts_file, recorded_in):
    found = dict(recorded_in(p_darts_file))
    found["candidates"] = [*found["candidates_normal"], *found["candidates_reduce"]]
    state = found["state_dict"].items()
    found["state_dict"] = {name.replace("cell_ops", "_ops").replace("m_ops", "_ops"): value for name, value in state}
    return found


@pytest.fixture
def supernet(data):
    """With the recorded masks in its skip connections, which all passes read."""
    settings = DropoutSkipSettings(rates=[data["hyper"]["skip_dropout"]], warmup_epochs=0, decay=0.0)
    found = supernet_of(data, Parts(skip=RecordedDropout(settings)))
    unread = set(data["dropout_keep"])
    for layer, cell in enumerate(found.cells):
        for source, mixed in enumerate(cell.mixed):
            for group in mixed.groups:
                operation = mixed.operations[group.name]
                if isinstance(operation, DroppedIdentity):
                    edges = [cell.space.leaving(source)[position] for position in group.positions]
                    places = [f"{layer}/{edge}" for edge in edges]
                    operation.kept = torch.cat([data["dropout_keep"][place] for place in places], dim=1)
                    unread -= set(places)
    assert not unread
    return found


def test_mixing_weights_are_the_recorded_ones(p_darts_file, data, supernet, agrees):
    for index, name in enumerate(CELL_TYPES):
        agrees(p_darts_file, "mixing_alpha", supernet.mixing()[name].weights, data["mixing_alpha"][index])


def test_logits_loss_and_weight_gradients_are_the_recorded_ones(p_darts_file, data, supernet, agrees):
    check_weight_pass(agrees, p_darts_file, data, supernet, supernet.mixing())


def test_gradients_of_alphas_are_the_recorded_ones(p_darts_file, data, supernet, agrees):
    inner = InnerStep(lr=0.1, momentum=0.9, weight_decay=0.0, buffers=None, radius=None)
    found = first_order(supernet, batch(data, "train"), batch(data, "valid"), inner)
    agrees(p_darts_file, "valid_logits", found.valid.outputs, data["valid_logits"])
    agrees(p_darts_file, "valid_loss", found.valid.loss, data["valid_loss"])
    for index, name in enumerate(CELL_TYPES):
        agrees(p_darts_file, "grad_alpha_first", found.gradient[f"alphas.{name}"], data["grad_alpha_first"][index])


@pytest.fixture(scope="module")
def recorded(p_darts_stages_file):
    return json.loads(p_darts_stages_file.read_text(encoding="utf-8"))


def stages_of(recorded):
    layers = [stage["layers"] for stage in recorded["stages"]]
    (warmup,) = {trained.index(True) for trained in recorded["alphas_trained_per_epoch"]}
    settings = DeepeningStagesSettings(
        keep=recorded["num_to_keep"][:-1],
        added_layers=[number - layers[0] for number in layers[1:]],
        warmup_epochs=warmup,
    )
    return DeepeningStages(settings), warmup


def test_epochs_without_alpha_steps_are_the_recorded_ones(recorded):
    stages, _ = stages_of(recorded)
    plan = stages.plan(recorded["epochs_per_stage"] * len(recorded["stages"]))
    assert [[epoch >= stage.warmup_epochs for epoch in range(stage.epochs)] for stage in plan] == recorded[
        "alphas_trained_per_epoch"
    ]
    assert all(stage.fresh_lr for stage in plan)


def test_the_dropout_rate_of_every_epoch_is_the_recorded_one(recorded, p_darts_stages_file, agrees):
    _, warmup = stages_of(recorded)
    rates = [stage["dropout"] for stage in recorded["stages"]]
    skip = DropoutSkip(DropoutSkipSettings(rates=rates, warmup_epochs=warmup, decay=0.2))
    one = DroppedIdentity(1, skip.rate)
    for index, expected in enumerate(recorded["dropout_per_epoch"]):
        one.enter_stage(index)
        found = []
        for epoch in range(len(expected)):
            one.start_epoch(epoch, len(expected))
            found.append(one.metrics()["skip_dropout"])
        values = torch.tensor([found, expected], dtype=torch.float64)
        agrees(p_darts_stages_file, "dropout_per_epoch", *values)


def test_every_stage_is_as_deep_as_recorded_and_has_the_recorded_candidates(recorded):
    stages, _ = stages_of(recorded)
    case = recorded["cases"][0]
    nodes = len(case["normal"]) // 2
    built = []

    def factory(cells=None, layers=recorded["stages"][0]["layers"]):
        cells = cells or build_space("cnn", recorded["candidates"], nodes)
        built.append(CnnSupernet(cells, init_channels=2, layers=layers, classes=2).double())
        return built[-1]

    facts = None
    for index, stage in enumerate(recorded["stages"]):
        supernet = stages.build(index, facts, factory)
        assert len(supernet.cells) == stage["layers"]
        for name in CELL_TYPES:
            assert supernet.alphas[name].shape[1] == stage["candidates"]
            supernet.load_alphas({name: torch.tensor(case[f"alphas_{name}"][index], dtype=torch.float64)})
        if index < len(recorded["stages"]) - 1:
            facts = json.loads(json.dumps(stages.end(index, supernet)))
            for name in CELL_TYPES:
                kept = [[recorded["candidates"][column] for column in row] for row in case[f"kept_{name}"][index]]
                assert [list(row) for row in facts["cells"][name]["candidates"]] == kept


def final_space(recorded, case):
    """The search space of the last stage."""
    names = recorded["candidates"]
    lists = {name: [[names[column] for column in row] for row in case[f"kept_{name}"][-2]] for name in CELL_TYPES}
    return build_space("cnn", [*lists["normal"], *lists["reduce"]], len(case["normal"]) // 2)


def softmax(alphas):
    return torch.softmax(torch.tensor(alphas, dtype=torch.float64), dim=-1)


def test_candidates_are_removed_as_recorded_in_every_stage(recorded):
    assert recorded["cases"]
    assert [row["candidates"] for row in recorded["stages"]][1:] == recorded["num_to_keep"][:-1]
    for number, case in enumerate(recorded["cases"]):
        for name in CELL_TYPES:
            live = [list(recorded["candidates"]) for _ in case[f"alphas_{name}"][0]]
            for index, kept in enumerate(case[f"kept_{name}"]):
                rows, count = softmax(case[f"alphas_{name}"][index]).tolist(), recorded["num_to_keep"][index]
                assert all(len(row) - count == recorded["num_to_drop"][index] for row in live)
                live = [strongest_candidates(*both, count) for both in zip(live, rows, strict=True)]
                expected = [[recorded["candidates"][column] for column in row] for row in kept]
                assert live == expected, f"case {number}, stage {index}"


def test_genotypes_with_every_limit_on_skips_are_the_recorded_ones(recorded):
    for number, case in enumerate(recorded["cases"]):
        space = final_space(recorded, case)
        weights = {name: softmax(case[f"alphas_{name}"][-1]) for name in CELL_TYPES}
        concat = list(space.cells["normal"].targets)

        def genotype(normal, reduce, concat=concat):
            return from_pairs("cnn", {"normal": (normal, concat), "reduce": (reduce, concat)})

        free = case["unrestricted"]
        assert strongest(space, weights, later=True) == genotype(free["normal"], free["reduce"]), f"case {number}"
        assert sum(operation == SKIP for operation, _ in free["normal"]) == case["skips"]
        for most, normal in case["normal_by_max_skip"].items():
            expected = genotype(normal, free["reduce"])
            assert limit_skips(space, weights, int(most), later=True) == expected, f"case {number}, at most {most}"
        found = limit_skips(space, weights, MOST_SKIPS, later=True)
        assert found == genotype(case["normal"], case["reduce"]), f"case {number}"
