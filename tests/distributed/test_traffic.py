"""What `docs/scaling.md` says is sent in a step is what is handed to the mean over ranks."""

import pytest
import pytorch_lightning as pl

from darts_pl.bilevel import ORDERS, AlphaRecipe, NeumannSettings, UnrolledSettings, WeightRecipe
from darts_pl.modules import SearchModule
from tests.distributed.worker import Halves, LossScore
from tests.smooth import SmoothNet

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


class Counting(SearchModule):
    """Notes how many numbers stand in every buffer that ranks would exchange."""

    def mean(self, tensors):
        self.sent = [*getattr(self, "sent", []), sum(tensor.numel() for tensor in tensors)]
        return tensors


#: By order and its settings, how often a step sends a gradient of the weights before the gradient of the alphas.
#: Second order: the virtual step, v. A Neumann series: v, and a product of the Hessian for every term but the first.
#: Unrolled: every step forwards, v, and on the way back a product of the Hessian for every step but the first.
SENT = [
    ("second", None, 2),
    ("second_exact", None, 2),
    ("neumann", NeumannSettings(terms=1, step_size=None), 1),
    ("neumann", NeumannSettings(terms=4, step_size=None), 1 + 3),
    ("unrolled", UnrolledSettings(steps=1), 1 + 1),
    ("unrolled", UnrolledSettings(steps=3), 3 + 1 + 2),
]


def test_every_order_has_its_count():
    assert {"first", *(order for order, _, _ in SENT)} == set(ORDERS.list())


def test_a_first_order_step_sends_the_gradients_of_alphas_and_weights():
    sent, p, a = sent_in_one_step("first")
    assert sent == [a, p]


@pytest.mark.parametrize(("order", "settings", "before"), SENT)
def test_other_orders_send_gradients_of_the_weights_and_both_terms_of_the_gradient_of_the_alphas(
    order, settings, before
):
    sent, p, a = sent_in_one_step(order, settings)
    assert sent == [p] * before + [2 * a, p]


def sent_in_one_step(order, settings=None):
    """The numbers in every buffer of a step, and how many weights and alphas there are."""
    net = SmoothNet(dropout=0.0).double()
    weights = WeightRecipe(0.1, 0.01, 0.9, 3e-4, 5.0, 1)
    alphas = AlphaRecipe(3e-2, (0.5, 0.999), 1e-3)
    module = Counting(
        net, order=ORDERS.get(order)(settings), weights=weights, alphas=alphas, radius=0.01, scores=LossScore
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=1,
        precision="64-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=Halves(4))
    p = sum(weight.numel() for weight in net.weights().values())
    a = sum(alpha.numel() for alpha in net.alphas.values())
    return module.sent, p, a
