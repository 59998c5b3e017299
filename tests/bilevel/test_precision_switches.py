"""The settings that cost float32 products digits are found, switched off, and put back."""

import pytest
import torch

from darts_pl.bilevel import full_precision, reduced_precision, use_full_float32
from darts_pl.bilevel.precision import SWITCHES


@pytest.fixture(autouse=True)
def _as_before():
    before = [switch.read() for switch in SWITCHES]
    yield
    torch.backends.cudnn.allow_tf32 = True  # torch's own value under the older name
    for switch, value in zip(SWITCHES, before, strict=True):
        switch.write(value)


def test_torch_computes_convolutions_on_a_gpu_with_fewer_digits_unless_it_is_told_not_to():
    assert any("cudnn" in name for name in reduced_precision())
    use_full_float32()
    assert reduced_precision() == {}
    assert not torch.backends.cudnn.allow_tf32  # as the older setting reads
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_a_lower_precision_of_products_is_seen_switched_off_and_put_back(precision):
    torch.set_float32_matmul_precision(precision)
    lowered = reduced_precision()
    assert any("matmul" in name for name in lowered)
    with full_precision("cpu"):
        assert reduced_precision() == {}
    assert reduced_precision() == lowered
    assert torch.get_float32_matmul_precision() == precision


def test_the_older_setting_alone_is_enough_for_both():
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    assert reduced_precision() == {}
