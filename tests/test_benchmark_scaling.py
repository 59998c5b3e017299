"""The formula for multiply-adds against torch's own counter; the exponent of a power."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.scaling import cnn_multiply_adds, cnn_search, exponent


@pytest.mark.parametrize(
    "sizes",
    [
        {"channels": 2, "cells": 3, "side": 8, "nodes": 2, "candidates": 8},
        {"channels": 4, "cells": 5, "side": 16, "nodes": 1, "candidates": 5},
    ],
)
def test_the_formula_counts_the_multiply_adds_that_torch_counts(sizes):
    search = cnn_search(batch=3, **sizes)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        search.supernet.loss(search.train, search.supernet.mixing())
    # The counter takes a multiplication and an addition as two, and also counts the sums of poolings and skips.
    counts = counter.get_flop_counts()["Global"]
    found = sum(value for key, value in counts.items() if "conv" in str(key) or "addmm" in str(key)) / 2
    assert 3 * cnn_multiply_adds(**sizes) == found


def test_the_exponent_of_a_power_is_its_own():
    sizes = [1, 2, 4, 8]
    assert exponent(sizes, [3.0 * size**1.7 for size in sizes]) == pytest.approx(1.7)
