"""Curvature, early stop and roll-back: against torch's Hessian, and against runs put together by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from darts_pl.bilevel import Draws, largest_alpha_eigenvalue, largest_eigenvalue
from darts_pl.genotype import parse
from darts_pl.methods import Curvature, CurvatureSettings
from darts_pl.spaces import CnnSupernet, Dropouts, DropPath, DropPathSettings, Parts, RnnSupernet, build_space
from tests.bilevel.test_mean_over_ranks import on_ranks
from tests.methods.conftest import killed_search, left_by, search
from tests.smooth import CLASSES, FEATURES, SmoothNet, smooth_loss

DRAWS = Draws(0, 0)


def symmetric(values: Tensor) -> Tensor:
    """A matrix with given eigenvalues."""
    basis, _ = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64))
    return basis @ torch.diag(values) @ basis.T


@pytest.mark.parametrize(
    "eigenvalues",
    [
        torch.linspace(-5, 1, 40),
        torch.tensor([-9.0, 0.25, 0.2499, *[0.0] * 30]),
        torch.tensor([2.0] * 12),
        torch.tensor([-3.0]),
        torch.zeros(5),
    ],
    ids=["spread", "nearly equal, and a larger negative one", "all equal", "one", "zero"],
)
def test_the_largest_eigenvalue_of_a_matrix_is_found(eigenvalues: Tensor) -> None:
    matrix, products = symmetric(eigenvalues.double()), []

    def product(vector: Tensor) -> Tensor:
        products.append(vector)
        return matrix @ vector

    found = largest_eigenvalue(product, len(matrix), 1e-8)
    expected = torch.linalg.eigvalsh((matrix + matrix.T) / 2)[-1].item()
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-12)
    assert len(products) <= len(matrix)


def test_few_products_suffice_for_a_matrix_with_few_large_eigenvalues() -> None:
    matrix, products = symmetric(torch.cat([torch.tensor([10.0, 7.0]), torch.linspace(-1, 1, 222)]).double()), []

    def product(vector: Tensor) -> Tensor:
        products.append(vector)
        return matrix @ vector

    assert largest_eigenvalue(product, len(matrix), 1e-6) == pytest.approx(10.0, rel=1e-9)
    assert len(products) < 30


def smooth() -> tuple[SmoothNet, tuple[Tensor, Tensor]]:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    return SmoothNet(0.5).train(), (torch.randn(6, FEATURES), torch.randint(CLASSES, (6,)))


def hessian_of(net: SmoothNet, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The Hessian of the loss without dropout in all alphas, by torch."""
    weights = {name: weight.detach() for name, weight in net.weights().items()}
    sizes = [alphas.numel() for alphas in net.alphas.values()]

    def loss(flat: Tensor) -> Tensor:
        parts = zip(net.alphas.items(), flat.split(sizes), strict=True)
        alphas = {f"alphas.{name}": part.view_as(value) for (name, value), part in parts}
        return smooth_loss({**weights, **alphas}, *batch, lambda x: x)

    return torch.autograd.functional.hessian(
        loss, torch.cat([alphas.detach().flatten() for alphas in net.alphas.values()])
    )


def test_the_curvature_is_the_largest_eigenvalue_of_the_whole_hessian_without_dropout() -> None:
    net, batch = smooth()
    numbers = torch.get_rng_state()
    expected = torch.linalg.eigvalsh(hessian_of(net, batch))[-1].item()
    found = largest_alpha_eigenvalue(net, batch, weight_decay=0.02, tolerance=1e-8, draws=DRAWS)
    assert found == pytest.approx(expected + 0.02, rel=1e-9)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert net.dropout.training


def test_ranks_find_the_curvature_of_the_mean_of_their_losses() -> None:
    net, (x, y) = smooth()
    halves = [(x[:3], y[:3]), (x[3:], y[3:])]
    hessians = [hessian_of(net, half) for half in halves]
    expected = torch.linalg.eigvalsh((hessians[0] + hessians[1]) / 2)[-1].item()

    def measured(net: Any, train: Any, valid: Any, inner: Any, mean: Any) -> float:
        return largest_alpha_eigenvalue(net, valid, tolerance=1e-8, mean=mean, draws=DRAWS)

    results, _ = on_ranks(measured, net, halves, halves, None)
    assert results == [pytest.approx(expected, rel=1e-9)] * 2


def test_the_curvature_of_a_recurrent_search_is_measured_without_its_dropouts() -> None:
    torch.set_default_dtype(torch.float64)
    space = build_space("rnn", ("none", "tanh", "identity"), 2)
    torch.manual_seed(1)
    plain = RnnSupernet(space, vocabulary=7, units=5, alpha_scale=1.0).train()
    dropping = RnnSupernet(space, vocabulary=7, units=5, dropouts=Dropouts(0.5, 0.5, 0.5, 0.5, 0.5)).train()
    dropping.load_state_dict(plain.state_dict())
    words = torch.randint(7, (6, 3))
    batch = (words[:-1], words[1:])
    found = [largest_alpha_eigenvalue(net, batch, tolerance=1e-8, draws=DRAWS) for net in (plain, dropping)]
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    (alphas,) = plain.alphas.values()

    def loss(values: Tensor) -> Tensor:
        mixing = plain.mixing()["recurrent"]._replace(weights=torch.softmax(values, dim=1))
        return plain.loss(batch, {"recurrent": mixing}).loss

    hessian = torch.autograd.functional.hessian(loss, alphas.detach()).reshape(alphas.numel(), -1)
    assert found[0] == pytest.approx(torch.linalg.eigvalsh(hessian)[-1].item(), rel=1e-9)


def test_edges_are_dropped_per_sample_and_what_is_kept_is_divided_by_its_probability() -> None:
    torch.manual_seed(0)
    parts = Parts(edges=DropPath(DropPathSettings(rate=0.25)))
    net = CnnSupernet(build_space("cnn", ("skip_connect",), 1), init_channels=4, layers=3, classes=3, parts=parts)
    edges = net.train().cells[0].mixed[0]
    node, weights = torch.rand(4_000, 4, 1, 1), torch.ones(1, 1)
    for epoch, probability in ((0, 0.0), (2, 0.125), (4, 0.25)):
        net.start_epoch(epoch, 5)
        (part,) = edges(node, weights)
        dropped = (part == 0).flatten(1).all(1)
        torch.testing.assert_close(part[~dropped], node[~dropped] / (1 - probability))
        assert dropped.double().mean().item() == pytest.approx(probability, abs=0.02)
    torch.testing.assert_close(edges.eval()(node, weights)[0], node)


COMMON = (
    "search.candidates=[none,skip_connect,sep_conv_3x3]",
    "search.nodes=1",
    "search.init_channels=2",
    "order=first",
)
#: A rule that finds in every epoch that the curvature has grown since the one before.
ALWAYS = ("every=1", "window=1", "delta=1", "factor=1e-9", "first_epoch=0")


def rule(name: str) -> tuple[str, ...]:
    return (f"observers=[{name}]", *(f"observers.{name}.{one}" for one in ALWAYS))


BACK = (*COMMON, *rule("adaptive_decay"), "search.epochs=4", "search.weights.weight_decay=3e-4", "save_every=1")


@pytest.fixture(scope="module")
def went_back(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that went back twice and was never stopped."""
    folder = tmp_path_factory.mktemp("back") / "run"
    assert search(folder, *BACK) == 0
    return folder


def last(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return found


def test_a_search_goes_back_with_ten_times_the_weight_decay_until_it_is_at_its_largest(went_back: Path) -> None:
    state = last(went_back)
    assert state["optimizer_states"][0]["param_groups"][0]["weight_decay"] == pytest.approx(0.03, rel=1e-12)
    (observers,) = [one for one in state["callbacks"].values() if "roll_backs" in one]
    assert observers["roll_backs"] == 2
    # Epochs 0 and 1, back to 0, epoch 1, back to 0, epochs 1 to 3.
    assert len(observers["observers"]["adaptive_decay"]["values"]) == 6
    assert [row["epoch"] for row in left_by(went_back)["metrics"]] == ["0", "1", "2", "3"]
    assert [float(row["adaptive_decay/eigenvalue"]) for row in left_by(went_back)["metrics"]][1:] == pytest.approx(
        observers["observers"]["adaptive_decay"]["values"][-3:], rel=1e-6
    )


def test_it_ends_as_a_search_that_was_given_the_weight_decay_after_that_epoch(went_back: Path, tmp_path: Path) -> None:
    plain = (*COMMON, "search.epochs=4", "search.weights.weight_decay=3e-4")
    killed_search(tmp_path / "run", 0, None, *plain)
    state = last(tmp_path / "run")
    state["optimizer_states"][0]["param_groups"][0]["weight_decay"] = last(went_back)["optimizer_states"][0][
        "param_groups"
    ][0]["weight_decay"]
    torch.save(state, tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert search(tmp_path / "run", *plain, "resume=true") == 0
    ours, theirs = left_by(went_back), left_by(tmp_path / "run")
    compared = [name for name in theirs if name.startswith(("alphas", "state", "optimizer", "genotype"))]
    assert [name for name in compared if ours[name] != theirs[name]] == []


@pytest.mark.parametrize(
    ("epoch", "batch"),
    [(1, None), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1, 1), (0, 2), (2, 1), (3, None)))],
    ids=str,
)
def test_a_search_that_goes_back_resumes_bitwise_wherever_it_was_killed(
    epoch: int,
    batch: int | None,
    went_back: Path,
    tmp_path: Path,
    assert_same_run: Callable[[Path, Path], None],
) -> None:
    # The end of epoch 1 is where it has decided to go back and has not yet done so.
    killed_search(tmp_path / "run", epoch, batch, *BACK)
    assert search(tmp_path / "run", *BACK, "resume=true") == 0
    assert_same_run(went_back, tmp_path / "run")


def test_an_early_stop_takes_the_genotype_from_before_the_curvature_grew(tmp_path: Path) -> None:
    arguments = (*COMMON, *rule("early_stop"), "observers.early_stop.delta=2", "search.epochs=6")
    assert search(tmp_path / "run", *arguments) == 0
    lines = (tmp_path / "run" / "genotypes.jsonl").read_text().splitlines()
    assert len(lines) == 4  # before any epoch, and after the epochs 0, 1 and 2
    assert parse((tmp_path / "run" / "genotype.json").read_text()) == parse(lines[1])
    killed_search(tmp_path / "parts", 2, None, *arguments)  # decided, and not yet ended
    assert search(tmp_path / "parts", *arguments, "resume=true") == 0
    found = [left_by(tmp_path / name) for name in ("run", "parts")]
    assert found[0] == found[1]


def test_the_last_epoch_is_measured_too_and_never_stops_a_search() -> None:
    curvature = Curvature(CurvatureSettings(every=4, tolerance=1e-6))
    curvature.start(10)
    assert [epoch for epoch in range(10) if curvature.is_measured(epoch)] == [0, 4, 8, 9]
