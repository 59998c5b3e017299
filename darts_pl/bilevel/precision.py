"""Full float32: the switches under which torch computes float32 products with fewer digits, and all of them off.

torch 2.9 gave every backend a setting `fp32_precision` ("ieee" = full) beside the older `allow_tf32` and
`set_float32_matmul_precision`, and refuses to read the older ones where both were used differently
(https://docs.pytorch.org/docs/stable/notes/cuda.html, "TensorFloat-32"). `torch.backends.fp32_precision` does not
reach cuDNN's convolutions, which have a value of their own (pytorch/pytorch, issue 179445). So each is set alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

#: What torch answers where float32 products have all their digits; "none" = nothing else was asked for.
FULL = ("ieee", "none", "highest", False)


class Switch(NamedTuple):
    """One setting of torch: its `name`, how it is read and written, and its value for full float32."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    exact: Any


def _attribute(name: str, place: Any, key: str, exact: Any) -> Switch:
    return Switch(name, lambda: getattr(place, key), lambda value: setattr(place, key, value), exact)


def _switches() -> list[Switch]:
    backends: Any = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):  # before torch 2.9
        matmul = Switch(
            "float32_matmul_precision",
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
            "highest",
        )
        return [matmul, _attribute("cudnn.allow_tf32", backends.cudnn, "allow_tf32", False)]
    places = {"cuda.matmul": backends.cuda.matmul, "cudnn.conv": backends.cudnn.conv, "cudnn.rnn": backends.cudnn.rnn}
    for operation in ("conv", "matmul", "rnn"):
        if hasattr(backends.mkldnn, operation):
            places[f"mkldnn.{operation}"] = getattr(backends.mkldnn, operation)
    return [_attribute(f"{name}.fp32_precision", place, "fp32_precision", "ieee") for name, place in places.items()]


#: Those of the installed torch.
SWITCHES = _switches()


def reduced_precision() -> dict[str, Any]:
    """By name the settings, with their values, under which float32 products lose digits now; {} = none."""
    values = {switch.name: switch.read() for switch in SWITCHES}
    return {name: value for name, value in values.items() if value not in FULL}


def use_full_float32() -> None:
    """Set all settings to full float32 for good, the older ones too, so that both kinds can be read afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions of torch warn that the older settings are old
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    _write_exact()


def _write_exact() -> None:
    for switch in SWITCHES:
        switch.write(switch.exact)


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """Within it float32 products are float32: no autocast, no TF32 (differences of nearly equal
    losses drown in anything less). On leaving all settings are as before.

    Args:
        device: the type of device that the passes run on, such as "cuda".
    """
    before = [switch.read() for switch in SWITCHES]
    _write_exact()
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        for switch, value in zip(SWITCHES, before, strict=True):
            switch.write(value)
