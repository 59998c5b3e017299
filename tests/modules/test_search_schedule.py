"""The learning rate of a search: a cosine, after a warm-up where one is set."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from darts_pl.bilevel import WeightRecipe
from darts_pl.modules.schedule import cosine_of


def rates(recipe: WeightRecipe, epochs: int, stop_after: int | None = None) -> list[float]:
    """The rate of every epoch; a schedule that is stopped goes on from its state in another object."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], recipe.lr)
    schedule = cosine_of(recipe, optimizer, epochs)
    found = []
    for epoch in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
        if epoch == stop_after:
            state, lr = copy.deepcopy(schedule.state_dict()), optimizer.param_groups[0]["lr"]
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], recipe.lr)
            schedule = cosine_of(recipe, optimizer, epochs)
            schedule.load_state_dict(state)
            optimizer.param_groups[0]["lr"] = lr
    return found


def test_a_warm_up_multiplies_the_cosine_by_a_factor_that_rises_in_equal_steps() -> None:
    # PC-DARTS's search on ImageNet: 50 epochs from 0.5 to 0, of which 5 are a warm-up.
    found = rates(WeightRecipe(0.5, 0.0, 0.9, 3e-4, 5.0, 50, warmup_epochs=5), 50)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.5)
    both = LambdaLR(optimizer, lambda epoch: min(1, (epoch + 1) / 5) * (1 + math.cos(math.pi * epoch / 50)) / 2)
    expected = []
    for _ in range(50):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        both.step()
    assert found == pytest.approx(expected, rel=1e-12)
    assert found[:2] == pytest.approx([0.1, 0.2 * (1 + math.cos(math.pi / 50)) / 2])


def test_a_schedule_with_a_warm_up_that_goes_on_from_its_state_is_one_never_stopped() -> None:
    recipe = WeightRecipe(0.5, 0.1, 0.9, 3e-4, 5.0, 12, warmup_epochs=4)
    for stop in (1, 3, 8):
        assert rates(recipe, 12, stop) == rates(recipe, 12)


def test_without_a_warm_up_the_schedule_is_torchs_cosine() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.5)
    schedule = cosine_of(WeightRecipe(0.5, 0.1, 0.9, 3e-4, 5.0, 12), optimizer, 12)
    assert type(schedule) is CosineAnnealingLR
    assert (schedule.T_max, schedule.eta_min) == (12, 0.1)
