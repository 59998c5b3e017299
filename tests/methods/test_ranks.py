"""Methods in several processes: the same draws on all ranks, and a resume that goes on bit by bit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_pl.bilevel import (
    ORDERS,
    PERTURBATIONS,
    REGULARISERS,
    Draws,
    InnerStep,
    SearchStep,
    first_order,
    identity_mean,
)
from darts_pl.methods import Curvature, CurvatureSettings
from darts_pl.spaces import RELAXATIONS, Dirichlet, Gumbel, GumbelSettings, Relaxation, Sigmoid, Supernet
from tests.bilevel.test_mean_over_ranks import on_ranks
from tests.methods.conftest import run_in_two_processes
from tests.methods.test_contracts import METHODS, config_of, overrides, supernet_of
from tests.on_paper import optimizers_of
from tests.smooth import CLASSES, FEATURES, SmoothNet


@pytest.mark.parametrize(
    "relaxation",
    [Dirichlet(), Gumbel(GumbelSettings(tau_max=2.0, tau_min=0.1)), Sigmoid()],
    ids=["dirichlet", "gumbel", "sigmoid"],
)
def test_the_mean_of_two_ranks_is_the_gradient_of_one_with_the_joint_batch(relaxation: Relaxation) -> None:
    torch.set_default_dtype(torch.float64)
    net = SmoothNet(0.0, relaxation)
    halves = [(torch.randn(4, FEATURES), torch.randint(CLASSES, (4,))) for _ in range(2)]
    joint = (torch.cat([x for x, _ in halves]), torch.cat([y for _, y in halves]))
    inner = InnerStep(lr=0.1, momentum=0.9, weight_decay=0.0, buffers=None, radius=None)
    ranks = [first_order(net, half, half, inner, draws=Draws(3, 7)).gradient for half in halves]
    together = first_order(net, joint, joint, inner, draws=Draws(3, 7)).gradient
    for name, gradient in together.items():
        torch.testing.assert_close((ranks[0][name] + ranks[1][name]) / 2, gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_take_the_steps_that_one_takes_with_the_joint_batch(method: str, order: str) -> None:
    # On a network without batch statistics: its edges are plain, and no operation is frozen.
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(6)
    net = SmoothNet(0.0, RELAXATIONS.build(config_of(method).relaxation))
    net.start_epoch(1, 5)
    batches = [[(torch.randn(4, FEATURES), torch.randint(CLASSES, (4,))) for _ in range(2)] for _ in range(2)]
    assert_same_steps(method, order, net, batches, curvature=method == "r_darts")


@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_take_the_steps_that_one_takes_with_the_search_network_of_the_method(method: str) -> None:
    # With BatchNorm's stored statistics, which do not depend on the batch: its own edges, skips and draws.
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(6)
    net = supernet_of(method).double()
    with torch.no_grad():
        net.loss((torch.randn(8, 3, 8, 8), torch.arange(8) % 3), net.mixing())  # other statistics than 0 and 1
    net.eval()
    net.start_epoch(1, 5)
    batches = [[(torch.randn(4, 3, 8, 8), torch.randint(3, (4,))) for _ in range(2)] for _ in range(2)]
    assert_same_steps(method, "first", net, batches)  # the curvature is measured with the batch's statistics


def assert_same_steps(method: str, order: str, net: Supernet, batches: Any, curvature: bool = False) -> None:
    """Two steps on two ranks are those of one with the joint batch.

    Args:
        method: whose regulariser, perturbation and observers take part.
        order: name of the gradient of the alphas.
        net: the supernet, which stays as it is.
        batches: of each step those of two ranks, for both splits.
        curvature: whether it is measured after the steps.
    """
    config = config_of(method)
    joint = [tuple(map(torch.cat, zip(*step, strict=True))) for step in batches]

    def steps(supernet: Supernet, trains: Any, valids: Any, inner: Any, mean: Any) -> Mapping[str, torch.Tensor]:
        own = copy.deepcopy(supernet)
        perturbation = PERTURBATIONS.build(config.perturbation)
        perturbation.start_epoch(1, 5)
        measured = Curvature(CurvatureSettings(every=1, tolerance=1e-10))
        step = SearchStep(
            own,
            order=ORDERS.get(order)(),
            regulariser=REGULARISERS.build(config.regulariser),
            perturbation=perturbation,
            observers=[measured] if curvature else [],
            mean=mean,
            seed=3,
            grad_clip=0.5,
            radius=0.01,
            valid_batch=lambda: valids[0],
            **optimizers_of(own),
        )
        for number, (train, valid) in enumerate(zip(trains, valids, strict=True)):
            step(train, valid, number)
        for observer in step.observers:
            observer.on_epoch_end(0, step)
        return {**dict(own.named_parameters()), "curvature": torch.tensor(measured.values)}

    ranks = [[batch[rank] for batch in batches] for rank in range(2)]
    results, _ = on_ranks(steps, net, ranks, ranks, None)
    together = steps(net, joint, joint, None, identity_mean)
    start = dict(net.named_parameters())
    assert len(together["curvature"]) == curvature
    for name, value in together.items():
        for result in results:
            torch.testing.assert_close(result[name], value, rtol=1e-9, atol=1e-12)
        assert name == "curvature" or not torch.equal(value, start[name])


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_that_are_killed_and_resumed_are_bitwise_two_never_stopped(
    method: str, tmp_path: Path, assert_same_run: Callable[[Path, Path], None]
) -> None:
    def run(name: str, *more: str, forked: bool = True, **variables: str) -> int:
        arguments = [*overrides(method), "imports=[tests.methods.dying]", *more]
        return run_in_two_processes(tmp_path / name, *arguments, forked=forked, **variables)

    assert run("whole") == 0, (tmp_path / "whole.log").read_text()
    assert run("parts", DIE_AFTER="0") != 0
    assert (tmp_path / "parts" / "checkpoints" / "last.ckpt").exists()
    assert not (tmp_path / "parts" / "genotype.json").exists()
    # One method without the fork server, so with another seed of string hashes.
    assert run("parts", "resume=true", forked=method != "p_darts") == 0, (tmp_path / "parts.log").read_text()
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    checkpoint = torch.load(tmp_path / "whole" / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(checkpoint["ranks"]) == 2
