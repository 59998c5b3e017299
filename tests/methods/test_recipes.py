"""The searches of `experiment=METHOD_DATA` have the numbers of the published recipes, and say where each is from."""

from __future__ import annotations

import re
from typing import Any

import pytest

from darts_pl.cli import config_folder
from tests.test_config import configured

DARTS = {"space": "cnn", "layers": 8, "channels": 16, "candidates": 8, "epochs": 50, "batch": 64}
DARTS |= {"lr": (0.025, 0.001), "momentum": (0.9, False), "decay": 3e-4, "clip": (5.0, None), "warmup": 0}
DARTS |= {"alphas": (3e-4, [0.5, 0.999], 1e-3), "order": "first", "portion": 0.5}
GDAS = {"layers": 6, "epochs": 250, "batch": 256, "momentum": (0.9, True), "decay": 5e-4}
DR_NAS = {"candidates": 7, "channels": 36, "layers": 20, "lr": (0.1, 0.0), "alphas": (6e-4, [0.5, 0.999], 1e-3)}
DR_NAS |= {"warmup": 10, "k": (6, [4]), "keep": [4]}
NASBENCH201 = {"space": "nasbench201", "layers": 5, "candidates": 5, "momentum": (0.9, True), "decay": 5e-4}

#: By experiment what the papers and the authors' code have where it is not that of DARTS in first order. The numbers
#: are copied from the publications; none is read from `conf/`.
PUBLISHED: dict[str, dict[str, Any]] = {
    "darts_cifar10": {"order": "second"},
    "darts_nasbench201": {**NASBENCH201, "order": "second"},
    "pc_darts_cifar10": {
        **{"batch": 256, "lr": (0.1, 0.0), "alphas": (6e-4, [0.5, 0.999], 1e-3), "warmup": 15, "k": (4, None)},
    },
    "pc_darts_imagenet": {
        **{"batch": 1024, "lr": (0.5, 0.0), "lr_warmup": 5, "alphas": (6e-3, [0.5, 0.999], 1e-3), "clip": (5.0, 5.0)},
        **{"warmup": 35, "k": (2, None), "portion": 0.8},
    },
    "gdas_cifar10": {**GDAS, "tau": (10.0, 0.1)},
    "gdas_frc_cifar10": {**GDAS, "space": "cnn_fixed_reduction", "tau": (10.0, 0.1)},
    "gdas_nasbench201": {**NASBENCH201, "epochs": 250, "tau": (10.0, 0.1), "undrawn": True},
    "p_darts_cifar10": {
        **{"layers": 5, "epochs": 75, "batch": 96, "lr": (0.025, 0.0), "alphas": (6e-4, [0.5, 0.999], 1e-3)},
        **{"clip": (5.0, 5.0), "warmup": 10, "keep": [5, 3], "added": [6, 12], "rates": [0.0, 0.4, 0.7]},
    },
    "dr_nas_cifar10": DR_NAS,
    "dr_nas_imagenet": {
        **{**DR_NAS, "channels": 48, "layers": 14, "batch": 512, "lr": (0.5, 0.0), "lr_warmup": 5, "k": (6, [3])},
        **{"alphas": (6e-3, [0.5, 0.999], 1e-3), "clip": (5.0, 5.0), "portion": 0.8},
    },
    "dr_nas_nasbench201": {
        **{**NASBENCH201, "momentum": (0.9, False), "decay": 3e-4, "epochs": 100, "warmup": 10},
        **{"k": (4, [2]), "keep": [3]},
    },
    "fair_darts_cifar10": {"candidates": 7, "alphas": (3e-3, [0.9, 0.999], 1e-3), "scale": 10.0, "threshold": 0.85},
    "darts_minus_cifar10": {"candidates": 7, "schedule": "linear"},
    "sdarts_rs_cifar10": {"epsilon": (0.03, 0.3)},
    "sdarts_adv_cifar10": {"epsilon": (0.03, 0.3), "steps": 7},
    "r_darts_cifar10": {"order": "second", "stop": (2, 5, 4, 1.3, 10)},
    "oles_cifar10": {"freeze": (20, 0.4, False)},
}


def recipe(experiment: str) -> dict[str, Any]:
    """What an experiment composes to, under the names of `PUBLISHED`."""
    config: Any = configured(f"experiment={experiment}", "data.path=FILE")
    search, weights, alphas = config.search, config.search.weights, config.search.alphas
    found = {
        "space": search.space,
        "layers": search.cells if search.space == "nasbench201" else search.layers,
        "channels": search.init_channels,
        "candidates": len(search.candidates),
        "epochs": search.epochs,
        "batch": search.batch_size,
        "lr": (weights.lr, weights.lr_min),
        "lr_warmup": weights.warmup_epochs or None,
        "momentum": (weights.momentum, weights.nesterov),
        "decay": weights.weight_decay,
        "clip": (weights.grad_clip, alphas.grad_clip),
        "warmup": config.stages.warmup_epochs,
        "alphas": (alphas.lr, alphas.betas, alphas.weight_decay),
        "order": config.order.name,
        "portion": search.train_portion,
        "k": (config.edges.k, getattr(config.stages, "k", None)) if hasattr(config.edges, "k") else None,
        "undrawn": getattr(config.edges, "undrawn", None) or None,
        "keep": getattr(config.stages, "keep", None),
        "added": getattr(config.stages, "added_layers", None),
        "rates": getattr(config.skip, "rates", None),
        "schedule": getattr(config.skip, "schedule", None),
        "scale": getattr(config.regulariser, "scale", None),
        "threshold": getattr(config.select, "threshold", None),
        "steps": getattr(config.perturbation, "steps", None),
    }
    if hasattr(config.relaxation, "tau_max"):
        found["tau"] = (config.relaxation.tau_max, config.relaxation.tau_min)
    if hasattr(config.perturbation, "epsilon_max"):
        found["epsilon"] = (config.perturbation.epsilon_min, config.perturbation.epsilon_max)
    if stop := config.observers.get("early_stop"):
        found["stop"] = (stop.every, stop.window, stop.delta, stop.factor, stop.first_epoch)
    if freeze := config.observers.get("freeze"):
        found["freeze"] = (freeze.window, freeze.threshold, freeze.added)
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("experiment", PUBLISHED)
def test_an_experiment_has_the_published_numbers(experiment: str) -> None:
    assert recipe(experiment) == {**DARTS, **PUBLISHED[experiment]}


def test_every_method_has_a_published_recipe_and_a_reduced_one() -> None:
    methods = {file.stem for file in config_folder().glob("method/*.yaml")}
    assert {f"{method}_cifar10" for method in methods} <= set(PUBLISHED)
    experiments = {file.stem for file in config_folder().glob("experiment/*.yaml")}
    assert {f"{method}_cifar10_small" for method in methods - {"darts"}} <= experiments


@pytest.mark.parametrize("experiment", [name for name in PUBLISHED if not re.match("darts_(?!minus_)", name)])
def test_a_source_is_beside_each_number(experiment: str) -> None:
    text = (config_folder() / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8")
    numbers = [line for line in text.splitlines() if re.search(r"^ +\w+: +\[?(\d|true|false)", line)]
    assert len(numbers) >= 11
    unsaid = [line for line in numbers if not re.search(r"# .*(code|section|as DARTS|of the images above)", line)]
    assert unsaid == []
