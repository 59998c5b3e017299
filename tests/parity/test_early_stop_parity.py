"""When a search stops or goes back, and the curvature that decides it, against the RobustDARTS authors' code."""

import json
import math

import pytest
import torch

from darts_pl.bilevel import Draws, RollBack, largest_alpha_eigenvalue, largest_eigenvalue
from darts_pl.genotype import from_pairs
from darts_pl.methods import (
    AdaptiveDecay,
    AdaptiveDecaySettings,
    CurvatureSettings,
    EarlyStop,
    EarlyStopSettings,
    local_averages,
)
from darts_pl.selection import magnitude
from darts_pl.spaces import Parts
from tests.parity.recorded import CELL_TYPES, batch, supernet_of

pytestmark = pytest.mark.parity


@pytest.fixture
def recorded(stop_file):
    return json.loads(stop_file.read_text(encoding="utf-8"))


def rule_of(recorded):
    measured = CurvatureSettings(every=recorded["every"], tolerance=1e-6)
    return vars(measured) | {name: recorded[name] for name in ("window", "delta", "factor", "first_epoch")}


def stopping(recorded):
    found = EarlyStop(EarlyStopSettings(**rule_of(recorded)))
    found.start(recorded["epochs"])
    return found


def decided(observer, eigenvalues, epochs):
    """(epoch decided at, epoch taken), and the eigenvalues that were read."""
    values = iter(eigenvalues)
    for epoch in range(epochs):
        if observer.curvature.is_measured(epoch):
            observer.curvature.values.append(next(values))
            taken = observer.epoch_to_take(epoch)
            if taken is not None:
                return epoch, taken
    return None, None


def test_the_curvature_is_measured_in_the_recorded_epochs(recorded):
    observer = stopping(recorded)
    measured = [epoch for epoch in range(recorded["epochs"]) if observer.curvature.is_measured(epoch)]
    assert measured == recorded["epochs_with_eigenvalue"]


def test_every_recorded_sequence_of_eigenvalues_stops_the_search_where_recorded(recorded):
    assert recorded["sequences"]
    for sequence in [*recorded["sequences"], *recorded["published_logs"]["sequences"]]:
        observer = stopping(recorded)
        found = decided(observer, sequence["eigenvalues"], recorded["epochs"])
        assert found == (sequence["decided_at_epoch"], sequence["stop_epoch"])
        taken = recorded["epochs"] - 1 if found[1] is None else found[1]
        assert sequence.get("genotype", f"genotype@{taken}") == f"genotype@{taken}"


def test_local_averages_are_the_recorded_ones_and_belong_to_the_recorded_epochs(recorded):
    half, traced = recorded["window"] // 2, 0
    epochs = recorded["epochs_with_eigenvalue"]
    for sequence in recorded["sequences"]:
        for number, (epoch, average, belongs) in enumerate(sequence["trace"] or []):
            traced += 1
            assert epoch == epochs[number]
            values = sequence["eigenvalues"][: number + 1]
            averages = local_averages(values, recorded["window"])
            if average is None:
                assert (averages, belongs) == ([], -1)
                continue
            # The last epoch comes one after the one before it. Their average there belongs to no epoch and is of
            # the newer half of the window only; no decision is made by it.
            last = epoch == recorded["epochs"] - 1
            found = sum(values[-half - 1 :]) / (half + 1) if last else averages[-1]
            assert math.isclose(found, average, rel_tol=1e-12)
            assert belongs == (None if last else epochs[number - half])
    assert traced


def adapted(recorded, eigenvalues, forget):
    """Events, weight decays and eigenvalues of a search whose eigenvalues are given by iteration and epoch."""
    adas = recorded["adas"]
    assert adas["extra_rollback_epochs"] == 0
    settings = AdaptiveDecaySettings(
        **rule_of(recorded), multiply=adas["multiply"], largest=adas["max_weight_decay"], forget=forget
    )
    observer = AdaptiveDecay(settings)
    observer.start(recorded["epochs"])
    given = {(iteration, epoch): value for iteration, epoch, value in eigenvalues}
    weight, decay, iteration, epoch = torch.nn.Parameter(torch.zeros(1)), 3e-4, 1, 0
    events, decays, measured, kept = [], [[1, 0, decay]], [], {}

    class Search:
        weights = torch.optim.SGD([weight], lr=0.1, weight_decay=decay)

    while epoch < recorded["epochs"]:
        if observer.curvature.is_measured(epoch):
            measured.append([iteration, epoch, given[iteration, epoch]])
            observer.curvature.values.append(given[iteration, epoch])
            action = observer.action(observer.epoch_to_take(epoch), Search)
            if action is not None:
                assert isinstance(action, RollBack)
                assert observer.keeps_epochs >= epoch - action.epoch
                decay = action.changes["weight_decay"]
                Search.weights.param_groups[0]["weight_decay"] = decay
                events.append([epoch, action.epoch, decay])
                observer.rolled_back(kept[action.epoch])
                iteration, epoch = iteration + 1, action.epoch + 1
                decays.append([iteration, epoch, decay])
                continue
        kept[epoch] = observer.state_dict()
        epoch += 1
    return events, decays, measured


def close(found, expected):
    """Lists of numbers that agree to the last but a few bits."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize(("variant", "forget"), [("code", False), ("tracker_rolled_back", True)])
def test_the_search_goes_back_where_recorded_with_the_recorded_weight_decays(recorded, variant, forget):
    assert recorded["adas"]["cases"]
    for case in recorded["adas"]["cases"]:
        events, decays, measured = adapted(recorded, case[variant]["eigenvalues"], forget)
        close(events, case[variant]["events"])
        assert measured == case[variant]["eigenvalues"]
        if "weight_decays" in case[variant]:
            # Their virtual step keeps the weight decay of the iteration before; ours has that of the step.
            virtual = [decay for _, _, decay in (decays[0], *decays[:-1])]
            close([[*row, before] for row, before in zip(decays, virtual, strict=True)], case[variant]["weight_decays"])


def test_the_largest_eigenvalue_is_that_of_the_recorded_matrix(hessian_file, recorded_in, agrees):
    data = recorded_in(hessian_file)
    matrix, size = data["hessian_plus_weight_decay"], len(data["eigenvalues_sorted"])
    symmetric = (matrix + matrix.T) / 2
    found = largest_eigenvalue(lambda vector: symmetric @ vector, size, 1e-6)
    expected = torch.tensor(data["dominant_eigenvalue"], dtype=torch.float64)
    agrees(hessian_file, "dominant_eigenvalue", torch.tensor(found, dtype=torch.float64), expected)
    smallest = -largest_eigenvalue(lambda vector: -(symmetric @ vector), size, 1e-6)
    largest = max(found, smallest, key=abs)
    expected = torch.tensor(data["largest_magnitude"], dtype=torch.float64)
    agrees(hessian_file, "largest_magnitude", torch.tensor(largest, dtype=torch.float64), expected)


def test_the_curvature_of_the_recorded_supernet_is_the_recorded_eigenvalue_and_leaves_no_trace(
    hessian_file, recorded_in, agrees
):
    data = recorded_in(hessian_file)
    net = supernet_of(data, Parts())
    state = {name: values.clone() for name, values in net.state_dict().items()}
    found = largest_alpha_eigenvalue(
        net, batch(data, "valid"), weight_decay=data["hyper"]["arch_weight_decay"], draws=Draws(0, 0)
    )
    expected = torch.tensor(data["dominant_eigenvalue"], dtype=torch.float64)
    agrees(hessian_file, "dominant_eigenvalue", torch.tensor(found, dtype=torch.float64), expected)
    assert all(torch.equal(values, state[name]) for name, values in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_genotype_is_the_recorded_one(hessian_file, recorded_in):
    data = recorded_in(hessian_file)
    nodes = data["hyper"]["steps"]
    cells = {name: (data["genotype"][name], list(range(2, 2 + nodes))) for name in CELL_TYPES}
    assert magnitude(supernet_of(data, Parts())) == from_pairs("cnn", cells)
