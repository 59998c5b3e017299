"""The search as the authors' code ran it, step by step, through the LightningModule and a real Trainer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from darts_pl import interop
from darts_pl.bilevel import ORDERS, AlphaRecipe, SearchStep, StepResult, WeightRecipe
from darts_pl.data import BatchLoader
from darts_pl.modules import ClassificationScores, LanguageScores, SearchModule
from darts_pl.runs import quiet_lightning
from darts_pl.spaces import CnnSupernet, RnnSupernet, build_space
from tests.paper import CANDIDATES
from tests.recordings import FOLDER

TRAJECTORIES = sorted(FOLDER.glob("cnn_trajectory*.pt"))
#: Names of the alphas in the recordings.
ALPHA_KEYS = {"normal": "alphas_normal", "reduce": "alphas_reduce", "recurrent": "alphas"}
RECURRENT_TRAJECTORIES = sorted(FOLDER.glob("rnn_trajectory*.pt"))
ACTIVATIONS = ("none", "tanh", "relu", "sigmoid", "identity")


class RecordingModule(SearchModule):
    """Writes down what the recording of the authors' code wrote down."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen: list[dict[str, Any]] = []

    def step(self) -> SearchStep:
        step = super().step()

        def recording(*arguments: Any) -> StepResult:
            result = step(*arguments)
            self.last = {"train_loss": result.train.loss, "grad_norm": result.norm.clone()}
            return result

        return cast(SearchStep, recording)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        super().training_step(batch, batch_idx)
        weights = self.supernet.weights().values()
        self.seen.append(
            {
                "lr": self.trainer.optimizers[0].param_groups[0]["lr"],
                **self.last,
                **{ALPHA_KEYS[name]: alpha.detach().clone() for name, alpha in self.supernet.alphas.items()},
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
        order=ORDERS.get(hyper["order"])(),
        weights=WeightRecipe(
            hyper["lr"], hyper["lr_min"], hyper["momentum"], hyper["weight_decay"], hyper["grad_clip"], hyper["epochs"]
        ),
        alphas=AlphaRecipe(hyper["alpha_lr"], hyper["alpha_betas"], hyper["alpha_weight_decay"]),
        radius=hyper["fd_radius"],
        scores=partial(ClassificationScores, hyper["num_classes"]),
    )


@pytest.mark.parity
@pytest.mark.parametrize("path", TRAJECTORIES, ids=lambda path: path.stem)
def test_the_search_module_follows_the_recorded_trajectory(path: Path) -> None:
    golden = torch.load(path, weights_only=True)
    steps = golden["hyper"]["steps_per_epoch"]

    batches = [
        {half: (batch[f"{half}_x"].double(), batch[f"{half}_y"]) for half in ("train", "valid")}
        for batch in golden["batches"]
    ]
    follow(path, golden, module_of(golden), batches, steps, golden["hyper"]["epochs"])


@pytest.mark.parity
@pytest.mark.parametrize("path", RECURRENT_TRAJECTORIES, ids=lambda path: path.stem)
def test_the_same_module_follows_the_recorded_recurrent_trajectory(path: Path) -> None:
    golden = torch.load(path, weights_only=True)
    batches = [
        {half: (batch[f"{half}_x"], batch[f"{half}_y"]) for half in ("train", "valid")} for batch in golden["batches"]
    ]
    module = recurrent_module_of(golden)
    follow(path, golden, module, batches, len(batches), 1)
    assert module.trainer.optimizers[0].param_groups[0]["lr"] == golden["hyper"]["lr"]


def recurrent_module_of(golden: dict[str, Any]) -> RecordingModule:
    hyper = golden["hyper"]
    edges, _ = golden["alphas"].shape
    nodes = next(n for n in range(1, 20) if n * (n + 1) // 2 == edges)
    supernet = RnnSupernet(
        build_space("rnn", ACTIVATIONS, nodes),
        vocabulary=hyper["vocabulary"],
        units=hyper["hidden"],
        bptt=hyper.get("bptt", len(golden["batches"][0]["train_x"])),
        slowness=hyper["tar_beta"],
    )
    interop.load(supernet, interop.import_recurrent(supernet, golden["state_dict"]))
    supernet.load_alphas({"recurrent": golden["alphas"]})
    return RecordingModule(
        supernet,
        order=ORDERS.get(hyper["order"])(),
        weights=WeightRecipe(
            lr=hyper["lr"],
            lr_min=hyper["lr"],
            momentum=0.0,
            weight_decay=hyper["weight_decay"],
            grad_clip=hyper["clip"],
            epochs=1,
        ),
        alphas=AlphaRecipe(hyper["alpha_lr"], (0.9, 0.999), hyper["alpha_weight_decay"]),
        radius=hyper["fd_radius"],
        scores=LanguageScores,
    )


def follow(
    path: Path, golden: dict[str, Any], module: RecordingModule, batches: list[Any], steps: int, epochs: int
) -> None:
    """Train `module` on `batches`, `steps` of them an epoch, and compare every step with the recorded one."""

    class Recorded:
        def __len__(self) -> int:
            return steps

        def __call__(self, epoch: int, index: int) -> Any:
            return batches[epoch * steps + index]

    quiet_lightning()
    trainer = pl.Trainer(
        accelerator="cpu",
        precision="64-true",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = BatchLoader(Recorded())
    trainer.fit(module, loader, val_dataloaders=DataLoader([batches[0]["valid"]], batch_size=None))
    assert trainer.global_step == len(golden["after"])  # only weight steps count
    worst = {
        key: max(
            relative(seen[key], recorded[key]) for seen, recorded in zip(module.seen, golden["after"], strict=True)
        )
        for key in golden["after"][0]
    }
    print(f"{path.name}: largest error {max(worst.values()):.1e}")
    assert max(worst.values()) <= 1e-6, worst
