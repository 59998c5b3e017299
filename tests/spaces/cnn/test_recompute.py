"""Cells whose maps are computed again in the backward pass: the same search, with less memory."""

import copy
from functools import partial

import pytest
import torch

from benchmarks.counting import cost
from benchmarks.ours import OurSearch
from benchmarks.recipes import CNN_SEARCH
from darts_pl.spaces import CnnSupernet, build_space

CANDIDATES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5", "noise")  # one draws numbers


@pytest.fixture
def searches():
    """The same search with all maps kept and with those of the cells computed again, in float64."""
    torch.manual_seed(0)
    sizes = {"init_channels": 2, "layers": 3, "classes": 3, "alpha_scale": 0.1}
    kept = CnnSupernet(build_space("cnn", CANDIDATES, 2), **sizes).double().train()
    again = CnnSupernet(build_space("cnn", CANDIDATES, 2), recompute=True, **sizes).double().train()
    again.load_state_dict(copy.deepcopy(kept.state_dict()))
    batches = [(torch.randn(4, 3, 8, 8, dtype=torch.float64), torch.arange(4) % 3) for _ in range(2)]
    return [OurSearch(supernet, *batches, CNN_SEARCH) for supernet in (kept, again)]


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_search_takes_the_same_steps_and_keeps_the_same_statistics(searches, order):
    for _ in range(2):
        for search in searches:
            search.step(order)
    kept, again = (search.supernet.state_dict() for search in searches)
    for name, values in kept.items():
        torch.testing.assert_close(again[name], values, rtol=1e-9, atol=1e-11)


def test_maps_within_cells_are_not_kept(searches):
    kept, again = (cost(partial(search.step, "first")).saved for search in searches)
    assert again < 0.6 * kept
