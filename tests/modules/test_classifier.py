"""Training from scratch: schedules, the loss, drop-path per epoch, averages, accumulation."""

from dataclasses import replace

import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LinearLR
from torch.utils.data import DataLoader

from darts_pl.callbacks import weight_average
from darts_pl.modules import ClassifierModule, ClassifierRecipe
from darts_pl.spaces import Classifier
from darts_pl.zoo import published

RECIPE = ClassifierRecipe(
    lr=0.1, lr_min=0.01, momentum=0.9, weight_decay=1e-3, epochs=7, drop_path=0.2, auxiliary_weight=0.4
)


def torchs_rates(build, epochs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
    scheduler, rates = build(optimizer), []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("changes", "build"),
    [
        ({}, lambda optimizer: CosineAnnealingLR(optimizer, T_max=7, eta_min=0.01)),
        ({"schedule": "exponential", "lr_decay": 0.97}, lambda optimizer: ExponentialLR(optimizer, 0.97)),
    ],
)
def test_the_learning_rate_of_every_epoch_is_that_of_torchs_schedule(changes, build):
    recipe = replace(RECIPE, **changes)
    assert [recipe.lr_at(epoch) for epoch in range(7)] == pytest.approx(torchs_rates(build, 7), rel=1e-12)


def test_a_warm_up_rises_in_equal_steps_and_the_schedule_takes_the_epochs_after_it():
    recipe = replace(RECIPE, warmup_epochs=4, epochs=11)
    rising = torchs_rates(lambda optimizer: LinearLR(optimizer, 1 / 4, total_iters=3), 4)
    assert [recipe.lr_at(epoch) for epoch in range(4)] == pytest.approx(rising)
    assert [recipe.lr_at(epoch) for epoch in range(4, 11)] == [RECIPE.lr_at(epoch) for epoch in range(7)]


class Fixed(torch.nn.Module):
    """Logits that do not depend on the images, so that the loss has a closed form."""

    drop_path = 0.0

    def __init__(self, logits, auxiliary):
        super().__init__()
        self.logits, self.auxiliary = torch.nn.Parameter(logits), auxiliary

    def forward(self, _):
        return (self.logits, self.auxiliary) if self.training else self.logits


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("with_tower", [True, False])
def test_the_loss_is_cross_entropy_plus_the_weighted_one_of_the_tower(smoothing, with_tower):
    logits, tower, labels = torch.randn(6, 4), torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    recipe = replace(RECIPE, label_smoothing=smoothing)
    module = ClassifierModule(Fixed(logits, tower if with_tower else None), recipe, 4)
    module.log = lambda *_, **__: None

    def closed_form(values):
        wanted = torch.full((6, 4), smoothing / 4)
        wanted[torch.arange(6), labels] += 1 - smoothing
        return -(wanted * (values - values.exp().sum(1, keepdim=True).log())).sum(1).mean()

    expected = closed_form(logits) + (0.4 * closed_form(tower) if with_tower else 0)
    torch.testing.assert_close(module.training_step((torch.zeros(6), labels), 0), expected)
    module.eval().test_step((torch.zeros(6), labels), 0)  # neither smoothed nor with a tower
    torch.testing.assert_close(module.test_loss.compute(), cross_entropy(logits, labels).double())


class Seen(pl.Callback):
    """What the network was set to in every epoch, and its weights after every step."""

    def __init__(self):
        self.drop_paths, self.rates, self.weights = [], [], []

    def on_train_batch_start(self, trainer, module, *_):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(self, trainer, module, *_):
        self.drop_paths.append(module.network.drop_path)
        self.weights.append(module.network.classifier.weight.detach().clone())


def fit(recipe, batches=1, callbacks=(), accumulate=1):
    network = Classifier(published("darts_v1"), init_channels=2, layers=1, classes=3)
    module, seen = ClassifierModule(network, recipe, 3), Seen()
    data = [(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])) for _ in range(batches)]
    trainer = pl.Trainer(
        max_epochs=recipe.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[seen, *callbacks],
        accumulate_grad_batches=accumulate,
        log_every_n_steps=1,
    )
    trainer.fit(module, DataLoader(data, batch_size=None))
    return module, seen, trainer


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_drop_path_and_learning_rate_follow_their_schedules_exactly_and_drop_path_never_reaches_its_value():
    _, seen, _ = fit(RECIPE)
    assert seen.drop_paths == [0.2 * epoch / 7 for epoch in range(7)]
    assert max(seen.drop_paths) < 0.2
    assert seen.rates == pytest.approx([RECIPE.lr_at(epoch) for epoch in range(7)], rel=1e-12)


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_the_average_of_the_weights_that_is_kept_is_the_exponential_one():
    module, seen, _ = fit(replace(RECIPE, epochs=2, drop_path=0), batches=3, callbacks=weight_average(0.9))
    average = seen.weights[0]
    for weight in seen.weights[1:]:
        average = 0.9 * average + 0.1 * weight
    torch.testing.assert_close(module.network.classifier.weight.detach(), average)
    assert not torch.equal(seen.weights[-1], average)
    assert weight_average(None) == []


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_accumulated_batches_make_one_step():
    _, seen, trainer = fit(replace(RECIPE, epochs=1), batches=4, accumulate=2)
    assert trainer.global_step == 2
    changed = [not torch.equal(one, next) for one, next in zip(seen.weights, seen.weights[1:], strict=False)]
    assert changed == [True, False, True]  # after batches 2 and 4
