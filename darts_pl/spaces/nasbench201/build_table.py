"""Makes the table that the package carries: ``python -m darts_pl.spaces.nasbench201.build_table FILE OUT``.

FILE is an npz file with one row per cell and these arrays: `ops` [15625, 6], `op_names`, `edges`,
`iso_class`, `params`, `flops`, `params_mismatch`, `epoch_seconds`, and in percent `cifar10_valid`
[15625, 3] (nan = no such run) and the other accuracies that `columns` lists. OUT is the file
``table.npz`` of this folder. The same FILE always gives the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.spaces.nasbench201.cell import OPERATIONS, edges
from darts_pl.spaces.nasbench201.columns import CELLS, LAYOUT, LICENCE, NO_RUN, SOURCE, UNITS_PER_PERCENT
from darts_pl.spaces.nasbench201.isomorphism import canonical_form

#: An accuracy of the source is a float32; more than that away from a whole number, it is another quantity.
LARGEST_ERROR = 1e-5

#: By array of the table, that of the source where the names differ.
NAMES_IN_SOURCE = {
    "cells": "ops",
    "parameters": "params",
    "multiply_adds": "flops",
    "doubtful_size": "params_mismatch",
}


def compact(source: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of the table.

    Args:
        source: the arrays of FILE.

    Raises:
        UserError: if an array is missing, or its values are not those of the benchmark.
    """
    names = {name: NAMES_IN_SOURCE.get(name, name) for name in LAYOUT}
    missing = sorted({"op_names", "edges", *names.values()} - set(source))
    if missing:
        raise UserError(f"the file lacks the arrays {', '.join(missing)}")
    _check_cells(source)
    table: dict[str, Any] = {"source": np.array(SOURCE), "licence": np.array(LICENCE)}
    for name, (kind, width) in LAYOUT.items():
        values = np.asarray(source[names[name]])
        expected = (CELLS,) if width == 1 else (CELLS, width)
        if values.shape != expected:
            raise UserError(f"{names[name]} has shape {values.shape}; expected {expected}")
        table[name] = (_counts(name, values) if name in UNITS_PER_PERCENT else values).astype(kind)
    return table


def _counts(name: str, percent: np.ndarray) -> np.ndarray:
    """Accuracies as whole numbers of their unit."""
    exact = percent.astype(np.float64) * UNITS_PER_PERCENT[name]
    counts = np.where(np.isnan(exact), NO_RUN, np.round(exact))
    error = np.nanmax(np.abs(exact - counts), where=~np.isnan(exact), initial=0) / UNITS_PER_PERCENT[name]
    if error > LARGEST_ERROR:
        raise UserError(f"{name}: values are up to {error:.1e} from a multiple of 1/{UNITS_PER_PERCENT[name]} percent")
    return counts


def _check_cells(source: Mapping[str, Any]) -> None:
    """The rows are all cells, with the operations and edges of this package, and so are the classes."""
    if tuple(source["op_names"]) != OPERATIONS or tuple(map(tuple, source["edges"])) != edges():
        raise UserError("op_names or edges are in another order than that of the benchmark")
    cells = [tuple(row) for row in np.asarray(source["ops"]).tolist()]
    if len(set(cells)) != CELLS:
        raise UserError(f"ops holds {len(set(cells))} different cells; expected {CELLS}")
    forms = [canonical_form(cell) for cell in cells]
    classes = np.asarray(source["iso_class"]).tolist()
    if not len(set(forms)) == len(set(classes)) == len(set(zip(forms, classes, strict=True))):
        raise UserError("iso_class does not number the classes of isomorphic cells")


def main(arguments: list[str]) -> None:
    """Write OUT from FILE.

    Args:
        arguments: FILE and OUT.

    Raises:
        UserError: if there are not two arguments, or FILE cannot be read or is not the benchmark.
    """
    if len(arguments) != 2:
        raise UserError("give two arguments: the npz file of the benchmark, and the file to write")
    try:
        with np.load(arguments[0], allow_pickle=False) as source:
            table = compact(dict(source))
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{arguments[0]}: cannot be read as an npz file ({error})") from None
    atomic.write_with(Path(arguments[1]), lambda path: np.savez_compressed(path, **table))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as wrong:
        sys.exit(str(wrong))
