"""Search networks with the weights of a recording from the later methods' code, and what they give."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts_pl import interop
from darts_pl.spaces import CnnSupernet, Mixing, Parts, build_space
from tests.paper import CANDIDATES

CELL_TYPES = ("normal", "reduce")
Agrees = Callable[[Path, str, Tensor, Tensor], None]


def supernet_of(data: Mapping[str, Any], parts: Parts) -> CnnSupernet:
    """The convolutional supernet of the recorded sizes, with the recorded weights and alphas, in float64."""
    state, hyper = data["state_dict"], data["hyper"]
    supernet = CnnSupernet(
        build_space("cnn", data.get("candidates", CANDIDATES), hyper["steps"]),
        init_channels=hyper["init_channels"],
        layers=hyper["layers"],
        classes=hyper["num_classes"],
        in_channels=state["stem.0.weight"].shape[1],
        parts=parts,
    )
    load_weights(supernet, state)
    supernet.load_alphas({name: data[f"alphas_{name}"] for name in CELL_TYPES})
    return supernet.double().train()


def load_weights(supernet: CnnSupernet, state: Mapping[str, Tensor]) -> None:
    """Load recorded parameters; a recording holds no buffers."""
    weights = interop.import_supernet(supernet, state, strict=False)
    assert weights.keys() == supernet.weights().keys()
    supernet.load_state_dict(weights, strict=False)


def batch(data: Mapping[str, Any], split: str) -> tuple[Tensor, Tensor]:
    return data[f"{split}_x"].double(), data[f"{split}_y"]


def weight_norms(supernet: CnnSupernet, loss: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The norm of the loss's weight gradient, and that of each recorded tensor, in the order of `state`."""
    weights = supernet.weights()
    gradient = torch.autograd.grad(
        loss, list(weights.values()), retain_graph=True, materialize_grads=True, allow_unused=True
    )
    theirs = interop.export_supernet(supernet, dict(zip(weights, gradient, strict=True)))
    assert theirs.keys() == state.keys()
    norms = torch.stack([theirs[name].norm() for name in state])
    return norms.norm(), norms


def check_weight_pass(
    agrees: Agrees, path: Path, data: Mapping[str, Any], supernet: CnnSupernet, mixing: Mapping[str, Mixing]
) -> None:
    """Logits, loss and weight gradient on the train batch."""
    outcome = supernet.loss(batch(data, "train"), mixing)
    agrees(path, "logits_train_mode", outcome.outputs, data["logits_train_mode"])
    agrees(path, "train_loss", outcome.loss, data["train_loss"])
    norm, norms = weight_norms(supernet, outcome.loss, data["state_dict"])
    agrees(path, "grad_w_norm", norm, data["grad_w_norm"])
    agrees(path, "grad_w_norms", norms, data["grad_w_norms"])
