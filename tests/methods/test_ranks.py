"""Methods in several processes: the same draws on all ranks, and a resume that goes on bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from darts_pl.bilevel import Draws, InnerStep, first_order
from darts_pl.spaces import Dirichlet, Gumbel, GumbelSettings, Relaxation, Sigmoid
from tests.methods.conftest import run_in_two_processes
from tests.methods.test_contracts import METHODS, overrides
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


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_that_are_killed_and_resumed_are_bitwise_two_never_stopped(
    method: str, tmp_path: Path, assert_same_run: Callable[[Path, Path], None]
) -> None:
    def run(name: str, *more: str, **variables: str) -> int:
        arguments = [*overrides(method), "imports=[tests.methods.dying]", *more]
        return run_in_two_processes(tmp_path / name, *arguments, **variables)

    assert run("whole") == 0, (tmp_path / "whole.log").read_text()
    assert run("parts", DIE_AFTER="0") != 0
    assert run("parts", "resume=true") == 0, (tmp_path / "parts.log").read_text()
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
