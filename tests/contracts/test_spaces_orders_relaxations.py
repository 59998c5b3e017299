"""Every search space by every order by every relaxation, for one batch: a new entry is tested the day it is added."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from darts_pl.bilevel import ORDERS, AlphaGradient, Draws, InnerStep
from darts_pl.config import parse_config
from darts_pl.spaces import RELAXATIONS, SPACES, Parts, Supernet
from darts_pl.tasks import TASKS

assert TASKS  # importing the tasks declares the sections

CONF = str(Path(__file__).parents[2] / "conf")
FACTS = {"classes": 3, "channels": 1, "height": 8, "width": 8, "vocabulary": 7}
#: Small values of settings that a space may have.
SMALL: dict[str, Any] = {"layers": 3, "init_channels": 4, "cells": 1, "units": 5, "bptt": 4, "nodes": 2}
FEW = ["none", "skip_connect", "avg_pool_3x3", "sep_conv_3x3"]
SMALL["candidates"] = {"cnn": FEW, "cnn_fixed_reduction": FEW}
SMALL |= dict.fromkeys(("dropout", "dropout_hidden", "dropout_input", "dropout_embedding", "dropout_word"), 0.25)


@functools.cache
def composed(space: str, relaxation: str) -> Any:
    file = next(
        path.stem for path in sorted(Path(CONF, "search").glob("*.yaml")) if f"space: {space}\n" in path.read_text()
    )
    overrides = [f"search={file}", f"relaxation={relaxation}", "data.path=nowhere", "task=search"]
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("config", overrides)
    for name, value in SMALL.items():
        if name in config.search:
            config.search[name] = value.get(space, config.search[name]) if name == "candidates" else value
    return parse_config(config)


def built(space: str, relaxation: str) -> Supernet:
    config = composed(space, relaxation)
    torch.manual_seed(5)
    parts = Parts(RELAXATIONS.build(config.relaxation))
    supernet = SPACES.get(space).supernet(config.search, FACTS, parts).double().train()
    for value in supernet.architecture().values():
        torch.nn.init.normal_(value)
    supernet.start_epoch(1, 5)
    return supernet


def batch(space: str, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if SPACES.get(space).data == "images":
        images = torch.randn(6, 1, 8, 8, generator=generator, dtype=torch.float64)
        return images, torch.randint(3, (6,), generator=generator)
    words = torch.randint(7, (5, 3), generator=generator)
    return words[:-1], words[1:]


def gradient(space: str, order: str, supernet: Supernet, **options: Any) -> AlphaGradient:
    config = composed(space, "softmax")
    values = {"name": order, "radius": 0.01, "terms": 2, "step_size": None, "steps": 2}
    values |= {"difference": "central", "reuse_weight_gradient": False}
    settings = type("Settings", (), values)()
    inner = InnerStep(0.05, momentum=0.9, weight_decay=1e-3, radius=0.01)
    assert config.search.space == space
    function = ORDERS.build(settings)
    return function(supernet, batch(space, 1), batch(space, 2), inner, draws=Draws(3, 4), **options)


def combinations(parts: Iterable[str]) -> list[Any]:
    """Every space by every order by each of `parts`. A supernet with a fixed reduction cell is one of `cnn` with fewer
    edges, so that all of its orders but one are left to the longer tests."""
    found = []
    for space, order, part in itertools.product(SPACES, ORDERS, parts):
        longer = space == "cnn_fixed_reduction" and order != "second"
        found.append(pytest.param(space, order, part, marks=pytest.mark.slow if longer else ()))
    return found


PAIRS = [(space, relaxation) for space in SPACES for relaxation in RELAXATIONS]


@pytest.mark.parametrize(("space", "order", "relaxation"), combinations(RELAXATIONS))
def test_one_batch_gives_a_finite_gradient_twice_the_same_and_leaves_no_trace(
    space: str, order: str, relaxation: str
) -> None:
    supernet = built(space, relaxation)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    state = torch.get_rng_state()
    first, second = gradient(space, order, supernet), gradient(space, order, supernet)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert first.gradient.keys() == supernet.architecture().keys()
    for name, value in first.gradient.items():
        assert value.shape == supernet.architecture()[name].shape
        assert value.isfinite().all()
        assert torch.equal(value, second.gradient[name])
    assert any(bool(value.any()) for value in first.gradient.values())
    assert all(parameter.grad is None for parameter in supernet.parameters())


@pytest.mark.parametrize(
    ("space", "relaxation"), [(space, relaxation) for space in SPACES for relaxation in RELAXATIONS]
)
def test_the_first_order_gradient_is_that_of_the_loss_by_autograd(space: str, relaxation: str) -> None:
    supernet = built(space, relaxation)
    found = gradient(space, "first", supernet, weights=True)
    draws, device = Draws(3, 4), torch.device("cpu")
    mixing = supernet.mixing(draws("valid", device), sample=True)
    with draws.seeding("valid", device):
        loss = supernet.loss(batch(space, 2), mixing).loss
    searched, own = supernet.architecture(), supernet.weights()
    expected = torch.autograd.grad(loss, [*searched.values(), *own.values()], allow_unused=True, materialize_grads=True)
    assert found.weights is not None
    for name, value in zip([*searched, *own], expected, strict=True):
        torch.testing.assert_close((found.gradient | found.weights)[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("space", "relaxation"), [(space, relaxation) for space in SPACES for relaxation in RELAXATIONS]
)
def test_expected_mixing_weights_draw_nothing(space: str, relaxation: str) -> None:
    supernet = built(space, relaxation)
    state = torch.get_rng_state()
    one, two = supernet.mixing(), supernet.mixing()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name].weights, two[name].weights) for name in one)
