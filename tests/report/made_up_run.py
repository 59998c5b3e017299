"""The files of a run that nobody ran: small, with names that would break a careless page."""

import random
from pathlib import Path

import numpy as np

from darts_pl.genotype import Genotype
from darts_pl.report.page import RunFiles
from darts_pl.report.page.warning_file import StoredWarning
from darts_pl.spaces import SPACES, build_space

CANDIDATES = ["none", "skip_connect", "sep_conv_3x3"]
HOSTILE = "<script>alert(1)</script>"
CONFIG = {
    "seed": 3,
    "task": {"name": "search_and_retrain"},
    "method": "darts",
    "search": {"space": "cnn", "candidates": CANDIDATES, "nodes": 2},
    "relaxation": {"name": "softmax"},
    "data": {"name": f"of {HOSTILE}"},
    "train": {},
}


def genotypes(count: int, nodes: int = 2, seed: int = 0) -> list[Genotype]:
    """Different genotypes."""
    space, draw = SPACES.get("cnn"), random.Random(seed)
    cells = space.cells(CANDIDATES, nodes)
    return [space.draw(cells, draw) for _ in range(count)]


def made_up_run(epochs: int = 4, nodes: int = 2) -> RunFiles:
    """A search, its training and a random cell."""
    draw = np.random.default_rng(0)
    edges = len(build_space("cnn", CANDIDATES, nodes).cells["normal"].edges)
    alphas = {name: draw.normal(size=(epochs + 1, edges, 3)).cumsum(0) for name in ("normal", "reduce")}
    previews = genotypes(epochs + 1, nodes)
    found = previews[-1]
    data = {
        "kind": "images",
        "classes": [HOSTILE, "b & c", '"d"'],
        "channels": 1,
        "height": 8,
        "width": 8,
        "test": {"count": 40},
    }
    metrics = {
        "epoch": list(range(epochs)),
        "batches": [3 * (epoch + 1) for epoch in range(epochs)],
        "search/train_loss": draw.uniform(0.5, 2, epochs).tolist(),
        "search/valid_loss": draw.uniform(0.5, 2, epochs).tolist(),
        "search/entropy_normal": draw.uniform(0.5, 1, epochs).tolist(),
        "search/my_quantity": draw.uniform(0.5, 1, epochs).tolist(),
        "seconds": [1.0] * epochs,
    }
    search = RunFiles(Path("run/search"), config=CONFIG, arrays=alphas, genotypes=previews, genotype=found,
                      metrics=metrics, data=data)  # fmt: skip
    test = {
        "confusion": np.array([[10, 1, 2], [0, 12, 1], [3, 0, 11]]),
        "worst_images": draw.integers(0, 255, (2, 8, 8, 3)).astype(np.uint8),
        "worst_labels": np.array([0, 1]),
        "worst_predicted": np.array([2, 2]),
        "worst_probability": np.array([0.01, 0.02]),
    }
    trained = {"retrain/train_loss": [1.5, 0.75, 0.25], "retrain/train_accuracy": [0.25, 0.5, 0.875]}
    retrain = RunFiles(Path("run/retrain"), config=CONFIG, genotype=found, data=data, test=test,
                       metrics={"epoch": [0, 1, 2], **trained})  # fmt: skip
    summary = {
        "task": "search_and_retrain",
        "seed": 3,
        "data": CONFIG["data"]["name"],
        "genotype": str(found),
        "test/accuracy": 0.825,
        "test/images": 40,
        "parameters": 123456,
        "random/cells": 1,
        "random/genotype_1": str(genotypes(1, nodes, seed=9)[0]),
        "random/test_accuracy_1": 0.8,
        "random/conclusion": f"No difference {HOSTILE}.",
        "seconds": 12.5,
    }
    return RunFiles(
        Path("run"),
        summary=summary,
        config=CONFIG,
        overrides=["experiment=quickstart", f"data.path={HOSTILE}"],
        choices={"search": "cnn", "method": "darts"},
        genotype=found,
        warnings=[StoredWarning("flat", f"Beware of {HOSTILE}.", 0.1, 0.2)],
        record={"state": "finished", "device": HOSTILE, "versions": {"torch": "1"}},
        parts={"search": search, "retrain": retrain},
    )
