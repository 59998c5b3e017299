"""The score of a search's valid split: statistics of shuffled batches, without a trace; stored ones by choice."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from darts_pl.bilevel import AlphaRecipe, Draws, WeightRecipe, first_order
from darts_pl.data import ImageArrays, ImageSettings, Loading, SearchImages, derive_seed
from darts_pl.modules import ClassificationScores, SearchModule
from darts_pl.runs import quiet_lightning
from darts_pl.spaces import CnnSupernet, Parts, build_space
from tests.gumbel import Gumbel

CLASSES, BATCH, SEED = 4, 16, 3
CANDIDATES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")


def arrays(valid: int, arrangement: str = "mixed") -> ImageArrays:
    """Images of four classes, told apart by their brightness alone; the first 32 are the train half."""
    draw = np.random.default_rng(0)
    size = 32 + valid
    labels = draw.integers(0, CLASSES, size)
    images = (labels[:, None, None, None] * 50 + draw.integers(0, 60, (size, 8, 8, 3))).astype(np.uint8)
    order = np.arange(size)
    if arrangement == "sorted":
        order[32:] = 32 + np.argsort(labels[32:], kind="stable")
    names = tuple("abcd")
    return ImageArrays(images[order], labels[order], images[:1], labels[:1], names)


def data_of(valid: int, *, mixed: bool, arrangement: str = "mixed") -> SearchImages:
    """The train half comes first, so that the valid half keeps its arrangement."""
    settings = ImageSettings(
        name="own", path=None, batch_size=None, eval_batch_size=BATCH, stem="cifar", flip=False, split="index",
        split_seed=0, test_fraction=0.2, crop_padding=0, mean=[0.5] * 3, std=[0.25] * 3, layout="auto",
    )  # fmt: skip
    loading = Loading(BATCH, SEED, train_portion=32.2 / (32 + valid), mixed_scores=mixed)
    return SearchImages(arrays(valid, arrangement), settings, loading)


def module_of(*, mixed: bool, parts: Parts | None = None, candidates: tuple[str, ...] = CANDIDATES) -> SearchModule:
    torch.manual_seed(0)
    space = build_space("cnn", candidates, 2)
    supernet = CnnSupernet(space, init_channels=2, layers=3, classes=CLASSES, parts=parts or Parts(), alpha_scale=1.0)
    for buffer in supernet.buffers():
        if buffer.is_floating_point():
            buffer.add_(0.5)  # running statistics that would give another score
    return SearchModule(
        supernet.double(),
        order=first_order,
        weights=WeightRecipe(0.1, 0.01, 0.9, 3e-4, 5.0, 1),
        alphas=AlphaRecipe(3e-2, (0.5, 0.999), 1e-3),
        radius=None,
        scores=lambda: ClassificationScores(CLASSES),
        seed=SEED,
        batch_scores=mixed,
    )


class Recorder(pl.Callback):
    """The metrics in float64, before they are reset."""

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.found = {name: float(metric.compute()) for name, metric in pl_module.valid_metrics.metrics()}


def scored(module: SearchModule, data: SearchImages) -> dict[str, float]:
    quiet_lightning()
    recorder = Recorder()
    trainer = pl.Trainer(
        accelerator="cpu", precision="64-true", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, callbacks=[recorder],
    )  # fmt: skip
    trainer.validate(module, data, verbose=False)
    return recorder.found


def plain(net: CnnSupernet, data: SearchImages, parts: list[Tensor], mixings: Any = None) -> dict[str, float]:
    """On a deep copy in the mode that it has, sample by sample from the logits."""
    net = copy.deepcopy(net)
    split = data._halves()[1]
    losses, right = [], []
    with torch.no_grad():
        for number, part in enumerate(parts):
            x = ((split.images[part].double() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)
            labels = split.labels[part]
            logits = net(x, net.mixing() if mixings is None else mixings(number))
            losses.append(logits.exp().sum(1).log() - logits[torch.arange(len(labels)), labels])
            right.append(logits.argmax(1) == labels)
    return {"loss": torch.cat(losses).mean().item(), "accuracy": torch.cat(right).double().mean().item()}


def shuffled(size: int) -> Tensor:
    return torch.randperm(size, generator=torch.Generator().manual_seed(derive_seed(SEED, "score", "order")))


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(48, [16, 16, 16]), (49, [16, 16, 17]), (56, [16, 16, 24]), (57, [16, 16, 16, 9]), (17, [17]), (16, [16])],
)
def test_a_score_is_that_of_a_plain_training_pass_over_the_shuffled_batches(size: int, sizes: list[int]) -> None:
    module, data = module_of(mixed=True), data_of(size, mixed=True)
    expected = plain(module.supernet.train(), data, list(shuffled(size).split(sizes)))
    found = scored(module, data)
    assert found == pytest.approx(expected, rel=1e-6)  # the images are normalised in float32
    one_batch = plain(module.supernet.train(), data, [torch.arange(size)])
    assert len(sizes) == 1 or abs(one_batch["loss"] / expected["loss"] - 1) > 1e-4


def test_the_stored_statistics_score_as_a_plain_evaluation_pass() -> None:
    module, data = module_of(mixed=False), data_of(40, mixed=False)
    expected = plain(module.supernet.eval(), data, [torch.arange(40)])
    found = scored(module, data)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert found["loss"] != pytest.approx(scored(module_of(mixed=True), data_of(40, mixed=True))["loss"], rel=1e-3)


def test_a_single_drawn_path_is_drawn_for_each_batch_of_all() -> None:
    module = module_of(mixed=True, parts=Parts(relaxation=Gumbel(one_path=True)))
    data = data_of(48, mixed=True)
    net = module.supernet

    def mixings(number: int) -> Any:
        return net.mixing(Draws(SEED, 0, number)("eval", "cpu"), sample=True)

    expected = plain(net.train(), data, list(shuffled(48).split(16)), mixings)
    assert scored(module, data)["loss"] == pytest.approx(expected["loss"], rel=1e-6)


@pytest.mark.parametrize("candidates", [CANDIDATES, ("noise", "sep_conv_3x3")])
def test_a_score_leaves_no_trace_in_buffers_modes_and_random_state(candidates: tuple[str, ...]) -> None:
    module, data = module_of(mixed=True, candidates=candidates), data_of(40, mixed=True)
    watched: Any = module  # without a Trainer
    watched.trainer = SimpleNamespace(world_size=1, global_rank=0, current_epoch=0)
    watched.log = lambda *_, **__: None
    net = module.supernet.eval()
    before = copy.deepcopy(net.state_dict())
    random, modes = torch.get_rng_state(), [one.training for one in net.modules()]
    losses = []
    for _ in range(2):
        watched.valid_metrics["loss"].reset()
        for index, (x, y) in enumerate(data.val_dataloader()):
            module.validation_step((x.double(), y), index)
        losses.append(float(module.valid_metrics["loss"].compute()))
    assert losses[0] == losses[1]
    after = net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items() if isinstance(value, Tensor))
    assert torch.equal(torch.get_rng_state(), random)
    assert [one.training for one in net.modules()] == modes


def test_a_valid_split_that_is_sorted_by_class_scores_like_a_mixed_one() -> None:
    module = module_of(mixed=True)
    net = module.supernet.train()
    optimizer = torch.optim.SGD(net.weights().values(), lr=0.1, momentum=0.9)
    split = data_of(96, mixed=True)._halves()[0]
    x = ((split.images.double() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x, net.mixing()), split.labels).backward()
        optimizer.step()
    mixed, by_class = (scored(module, data_of(96, mixed=True, arrangement=one)) for one in ("mixed", "sorted"))
    in_order = plain(net.train(), data_of(96, mixed=True, arrangement="sorted"), list(torch.arange(96).split(16)))
    assert mixed["accuracy"] > 0.8
    assert abs(mixed["accuracy"] - by_class["accuracy"]) <= 0.1
    assert in_order["accuracy"] < 0.6  # each batch has one or two classes: their brightness is normalised away
