"""The auxiliary skip connection against numbers recorded from the authors' code, in float64."""

import pytest
import torch

from darts_pl import interop
from darts_pl.bilevel import InnerStep, first_order
from darts_pl.genotype import from_pairs
from darts_pl.selection import magnitude
from darts_pl.spaces import AuxiliaryPath, AuxiliarySkip, AuxiliarySkipSettings, Parts
from tests.parity.recorded import CELL_TYPES, batch, check_weight_pass, supernet_of

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def data(darts_minus_file, recorded_in):
    return recorded_in(darts_minus_file)


@pytest.fixture
def supernet(data):
    skip = AuxiliarySkip(AuxiliarySkipSettings(schedule="linear"))
    return supernet_of(data, Parts(skip=skip))


def paths(supernet):
    return [module for module in supernet.modules() if isinstance(module, AuxiliaryPath)]


def test_the_auxiliary_paths_have_the_recorded_weights(data, supernet):
    theirs = interop.export_supernet(supernet, supernet.weights())
    assert sorted(name for name in theirs if "auxiliary_op" in name) == sorted(data["auxiliary_parameters"])
    assert theirs.keys() == set(data["parameter_names"])
    assert list(data["state_dict"]) == data["parameter_names"]
    back = interop.import_supernet(supernet, theirs, strict=False)
    assert all(torch.equal(back[name], weight) for name, weight in supernet.weights().items())


def test_losses_and_gradients_with_every_recorded_beta_are_the_recorded_ones(darts_minus_file, data, supernet, agrees):
    assert [recorded["beta"] for recorded in data["by_beta"]] == data["betas"]
    for recorded in data["by_beta"]:
        for path in paths(supernet):
            path.beta = recorded["beta"]
        check_weight_pass(agrees, darts_minus_file, {**data, **recorded}, supernet, supernet.mixing())
        inner = InnerStep(lr=0.1, momentum=0.9, weight_decay=0.0, buffers=None, radius=None)
        found = first_order(supernet, batch(data, "train"), batch(data, "valid"), inner)
        agrees(darts_minus_file, "valid_loss", found.valid.loss, recorded["valid_loss"])
        for index, name in enumerate(CELL_TYPES):
            expected = recorded["grad_alpha_first"][index]
            agrees(darts_minus_file, "grad_alpha_first", found.gradient[f"alphas.{name}"], expected)


def test_every_schedule_is_the_recorded_one(darts_minus_file, data, agrees):
    assert data["beta_schedule"]
    for name, recorded in data["beta_schedule"].items():
        path, betas = AuxiliaryPath(2, 1, 1, "constant" if name == "None" else name), []
        for epoch in range(len(recorded)):
            path.start_epoch(epoch, len(recorded))
            betas.append(path.beta)
        agrees(darts_minus_file, "beta_schedule", torch.tensor(betas, dtype=torch.float64), recorded)


def test_the_genotype_is_the_recorded_one_whatever_beta_is(data, supernet):
    pairs = {name: data["genotype"][name] for name in CELL_TYPES}
    expected = from_pairs(
        "cnn", {name: (pairs[name], list(range(2, 2 + len(pairs[name]) // 2))) for name in CELL_TYPES}
    )
    assert magnitude(supernet) == expected
    supernet.end_search()
    assert magnitude(supernet) == expected
