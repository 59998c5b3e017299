"""The reason for which a precision is refused fits the order and the number format."""

from __future__ import annotations

import pytest
import torch

from darts_pl.cli import main

CASES = [
    ("second", "bf16-mixed", "subtracts nearly equal gradients", (" float16 ", "underflow", "Hessian")),
    ("second", "bf16-true", "subtracts nearly equal gradients", (" float16 ", "underflow", "Hessian")),
    ("second_exact", "bf16-mixed", "product of the Hessian and a vector", ("difference", " float16 ", "underflow")),
    ("second_exact", "bf16-true", "product of the Hessian and a vector", ("difference", " float16 ", "underflow")),
    ("first", "bf16-true", "1/256 of their value", (" float16 ", "underflow", "difference")),
    ("first", "bf16", "bf16-mixed", (" float16 ", "underflow", "difference")),
    ("first", "16-mixed", "float16 gradients of the alphas underflow", ("difference", "bfloat16")),
    ("second_exact", "16-true", "float16 gradients of the alphas underflow", ("difference", "Hessian", "bfloat16")),
    ("first", "32", "use hardware.precision=32-true", ("float16", "underflow", "difference")),
]


@pytest.mark.parametrize(("order", "precision", "reason", "absent"), CASES)
def test_the_reason_fits_the_order_and_the_number_format(order, precision, reason, absent, tmp_path, capsys):
    arguments = [f"order={order}", f"hardware.precision={precision}", f"hydra.run.dir={tmp_path / 'run'}"]
    assert main(["data=digits", *arguments]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert f"hardware.precision={precision}" in error
    assert not [word for word in absent if word in error]


def test_a_weight_in_bfloat16_loses_an_update_below_one_256th_of_its_value():
    weight = torch.ones((), dtype=torch.bfloat16)
    assert weight + 0.9 / 256 == weight
    assert weight + 1.1 / 128 > weight
