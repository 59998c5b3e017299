"""What the parts of a search hand to others: edge weights to the drawings, valid batches to the observers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from darts_pl.bilevel import Observer, SearchStep
from darts_pl.callbacks import pictures
from darts_pl.report.page import read_run_files
from darts_pl.report.page.architecture import mixed_of
from tests.methods.conftest import search
from tests.methods.test_contracts import overrides

#: Edges that enter the nodes of a cell with two nodes.
ENTERING = ((0, 1), (2, 3, 4))


def by_node(betas: np.ndarray) -> np.ndarray:
    """The softmax of betas [edges] over the edges that enter a node."""
    return np.concatenate([softmax(betas[list(edges)]) for edges in ENTERING])


def test_the_edge_weights_of_pc_darts_reach_the_pictures_of_a_logger_and_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, np.ndarray]] = []
    draw: Callable[..., Any] = pictures.draw_mixing_weights

    def noting(space: Any, weights: Any, edges: dict[str, np.ndarray]) -> Any:
        drawn.append(edges)
        return draw(space, weights, edges)

    monkeypatch.setattr(pictures, "draw_mixing_weights", noting)
    folder = tmp_path / "run"
    assert search(folder, *overrides("pc_darts"), "logger=[csv,wandb]", "logger.wandb.mode=offline") == 0
    mixed = mixed_of(read_run_files(folder))
    assert mixed is not None
    with np.load(folder / "alphas.npz") as arrays:
        for name in ("normal", "reduce"):
            betas = arrays[f"betas.{name}"]
            for epoch, edges in enumerate(drawn, start=1):
                np.testing.assert_allclose(edges[name], by_node(betas[epoch]), rtol=1e-5)
            np.testing.assert_allclose(mixed.edges[name], [by_node(row) for row in betas], rtol=1e-5)
            assert not np.allclose(betas[-1], betas[0])
    assert len(drawn) == 2


class Labels(Observer):
    """Notes the labels of the valid batch that it is given after each epoch."""

    def __init__(self) -> None:
        self.found: list[set[int]] = []

    def on_epoch_end(self, epoch: int, search: SearchStep) -> None:
        assert search.valid_batch is not None
        self.found.append(set(search.valid_batch()[1].tolist()))


def test_observers_read_images_of_the_valid_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], 20)  # the first half of the images trains the weights
    images = draw.integers(0, 256, (80, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images[::10], y_test=labels[::10])
    observer = Labels()
    monkeypatch.setattr("darts_pl.problems.search.OBSERVERS.build", lambda settings: observer)
    data = (f"data.path={tmp_path / 'data.npz'}", "data.split=index")
    assert search(tmp_path / "run", *overrides("darts"), "observers=[skip_count]", *data) == 0
    assert observer.found == [{2, 3}, {2, 3}]
