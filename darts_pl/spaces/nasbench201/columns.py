"""How the table of NAS-Bench-201 is stored: which columns, and as which whole numbers.

An accuracy is a mean over runs of (images classified correctly) / (images), so it is a whole number
of a unit that the number of images and runs gives. The file holds that number, which fits into 16
bits, and loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Rows: all cells with four nodes and five operations.
CELLS = 5**6

#: By column of accuracies: whole numbers per percent. 25,000 and 10,000 images of CIFAR-10, 5,000
#: of CIFAR-100, 3,000 of ImageNet16-120; means over one to three runs.
UNITS_PER_PERCENT: Mapping[str, int] = MappingProxyType(
    {
        "cifar10_valid": 250,  # [cells, 3]: each run for itself
        "cifar10_test": 600,
        "cifar100_valid": 300,
        "cifar100_test": 300,
        "imagenet16_valid": 180,
        "imagenet16_test": 180,
        "cifar10_valid_ep12": 500,
        "cifar10_test_ep12": 100,
        "cifar100_valid_ep12": 50,
        "cifar100_test_ep12": 50,
        "imagenet16_valid_ep12": 30,
        "imagenet16_test_ep12": 30,
    }
)

#: Stored instead of an accuracy where there was no such run.
NO_RUN = 2**16 - 1

#: Every array of the file: its type and the number of its columns (1 = a vector).
LAYOUT: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "cells": ("uint8", 6),
        "iso_class": ("uint16", 1),
        **{name: ("uint16", 3 if name == "cifar10_valid" else 1) for name in UNITS_PER_PERCENT},
        "epoch_seconds": ("float32", 1),
        "parameters": ("uint32", 1),
        "multiply_adds": ("uint32", 1),
        "doubtful_size": ("bool", 1),
    }
)

SOURCE = (
    "NAS-Bench-201 (Xuanyi Dong and Yi Yang, ICLR 2020) and NATS-Bench (Xuanyi Dong, Lu Liu, Katarzyna Musial and "
    "Bogdan Gabrys, TPAMI 2021); rows in the order of the benchmark"
)
LICENCE = "MIT License, Copyright (c) since 2019 Xuanyi Dong (GitHub: https://github.com/D-X-Y)"
