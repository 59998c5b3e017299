"""With capturable optimizers every step of a search calls the same operations with the same numbers.

A CUDA graph repeats the operations of one step with the numbers that they were given: what changes from step to step,
such as the learning rate, must be in tensors. A dispatch mode writes both down, also where there is no GPU.
"""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from benchmarks.workloads import CLASSES, cnn_search, rnn_search
from darts_pl.bilevel import ORDERS, AlphaRecipe, SearchStep, WeightRecipe

NETWORKS = {
    "cnn": lambda: cnn_search(channels=2, layers=3, batch=4, side=8, both=False).ours,
    "rnn": lambda: rnn_search(units=5, vocabulary=CLASSES, batch=3, length=4, both=False).ours,
}


class Calls(TorchDispatchMode):
    """What is called, with all arguments that are not tensors and the sizes of those that are."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace != "profiler":  # the beginning and the end of an optimizer's step, for a profile
            given = tree_map_only(torch.Tensor, lambda x: (tuple(x.shape), x.dtype), (args, kwargs or {}))
            self.found.append((func.name(), str(given)))
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)  # every test ends with the default from before (tests/conftest.py)


def searched(name, order, capturable):
    """The parameters after three steps with a falling learning rate, and the calls of the last two."""
    torch.manual_seed(0)
    search = NETWORKS[name]()
    weights = WeightRecipe(0.1, 0.0, 0.9, 3e-4, 5.0, epochs=3).optimizer(search.supernet, capturable)
    alphas = AlphaRecipe(0.1, (0.5, 0.999), 1e-3).optimizer(search.supernet, capturable)
    schedule = CosineAnnealingLR(weights, 3)
    step = SearchStep(
        search.supernet, order=ORDERS.get(order)(), weights=weights, alphas=alphas, grad_clip=5.0, radius=0.01
    )
    step(search.train, search.valid, 0)  # the optimizers make their states
    calls = []
    for number in (1, 2):
        schedule.step()
        with Calls() as seen:
            step(search.train, search.valid, number)
        calls.append(seen.found)
    assert float(weights.param_groups[0]["lr"]) == pytest.approx(0.1 * (1 + math.cos(math.pi * 2 / 3)) / 2, rel=1e-12)
    return [parameter.detach() for parameter in search.supernet.parameters()], calls


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("cnn", "first"),
        ("rnn", "second"),
        # The dispatch mode makes each of these take seconds.
        pytest.param("cnn", "second", marks=pytest.mark.slow),
        *(pytest.param("rnn", order, marks=pytest.mark.slow) for order in ("second_exact", "neumann", "unrolled")),
    ],
)
def test_every_step_calls_the_same_and_ends_where_an_ordinary_one_ends(name, order):
    ours, (one, next_one) = searched(name, order, capturable=True)
    assert one == next_one
    plain, (one, next_one) = searched(name, order, capturable=False)
    assert one != next_one
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-11)


def test_the_number_of_the_step_and_the_learning_rates_are_tensors():
    search = NETWORKS["cnn"]()
    alphas = AlphaRecipe(0.1, (0.5, 0.999), 1e-3).optimizer(search.supernet, capturable=True)
    for parameter in search.supernet.architecture().values():
        parameter.grad = torch.ones_like(parameter)
    alphas.step()
    assert all(isinstance(state["step"], torch.Tensor) for state in alphas.state.values())
    assert isinstance(alphas.param_groups[0]["lr"], torch.Tensor)
