"""The search as the authors' code ran it, step by step, through the LightningModule and a real Trainer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from darts_pl import interop
from darts_pl.bilevel import hypergradient
from darts_pl.data import BatchLoader
from darts_pl.modules import AlphaRecipe, SearchModule, WeightRecipe
from darts_pl.runs import quiet_lightning
from darts_pl.spaces import CnnSupernet, Outcome, build_space

CANDIDATES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
FOLDER = Path(os.environ.get("DARTS_GOLDENS") or Path(__file__).parents[1] / "goldens")
TRAJECTORIES = sorted(FOLDER.glob("cnn_trajectory*.pt"))


class RecordingModule(SearchModule):
    """Writes down what the recording of the authors' code wrote down."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen: list[dict[str, Any]] = []

    def _observe(self, split: str, metrics: Any, outcome: Outcome, batch: Any) -> None:
        super()._observe(split, metrics, outcome, batch)
        if split == "train":
            weights = self.supernet.weights().values()
            self.seen.append(
                {
                    "lr": self.trainer.optimizers[0].param_groups[0]["lr"],
                    "train_loss": outcome.loss,
                    "grad_norm": self.grad_norm.clone(),
                    **{f"alphas_{name}": alpha.detach().clone() for name, alpha in self.supernet.alphas.items()},
                    "weight_l2": torch.nn.utils.get_total_norm([weight.detach() for weight in weights]),
                }
            )


def relative(ours: Any, recorded: Any) -> float:
    ours, recorded = (torch.as_tensor(value, dtype=torch.float64) for value in (ours, recorded))
    return float((ours - recorded).abs().max() / recorded.abs().max())


def module_of(golden: dict[str, Any]) -> RecordingModule:
    hyper = golden["hyper"]
    edges, _ = golden["alphas_normal"].shape
    nodes = next(n for n in range(1, 20) if sum(2 + i for i in range(n)) == edges)
    supernet = CnnSupernet(
        build_space("cnn", CANDIDATES, nodes),
        init_channels=hyper["init_channels"],
        layers=hyper["layers"],
        classes=hyper["num_classes"],
        in_channels=golden["batches"][0]["train_x"].shape[1],
    )
    interop.load(supernet, interop.import_supernet(supernet, golden["state_dict"]))
    supernet.load_alphas({"normal": golden["alphas_normal"], "reduce": golden["alphas_reduce"]})
    return RecordingModule(
        supernet,
        order=hypergradient(hyper["order"]),
        weights=WeightRecipe(
            hyper["lr"], hyper["lr_min"], hyper["momentum"], hyper["weight_decay"], hyper["grad_clip"], hyper["epochs"]
        ),
        alphas=AlphaRecipe(hyper["alpha_lr"], hyper["alpha_betas"], hyper["alpha_weight_decay"]),
        radius=hyper["fd_radius"],
        classes=hyper["num_classes"],
    )


def golden_valid(golden: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return golden["batches"][0]["valid_x"].double(), golden["batches"][0]["valid_y"]


@pytest.mark.parity
@pytest.mark.parametrize("path", TRAJECTORIES, ids=lambda path: path.stem)
def test_the_search_module_follows_the_recorded_trajectory(path: Path) -> None:
    golden = torch.load(path, weights_only=True)
    steps = golden["hyper"]["steps_per_epoch"]

    class Recorded:
        def __len__(self) -> int:
            return steps

        def __call__(self, epoch: int, index: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
            batch = golden["batches"][epoch * steps + index]
            return {half: (batch[f"{half}_x"].double(), batch[f"{half}_y"]) for half in ("train", "valid")}

    quiet_lightning()
    torch.manual_seed(0)
    module = module_of(golden)
    trainer = pl.Trainer(
        accelerator="cpu",
        precision="64-true",
        max_epochs=golden["hyper"]["epochs"],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = BatchLoader(Recorded())
    trainer.fit(module, loader, val_dataloaders=DataLoader([golden_valid(golden)], batch_size=None))
    assert trainer.global_step == len(golden["after"])  # only weight steps count
    worst = {
        key: max(
            relative(seen[key], recorded[key]) for seen, recorded in zip(module.seen, golden["after"], strict=True)
        )
        for key in golden["after"][0]
    }
    print(f"{path.name}: largest error {max(worst.values()):.1e}")
    assert max(worst.values()) <= 1e-6, worst
