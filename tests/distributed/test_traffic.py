"""What `docs/scaling.md` says is sent in a step is what is handed to the mean over ranks."""

import pytest
import pytorch_lightning as pl

from darts_pl.bilevel import ORDERS, AlphaRecipe, WeightRecipe
from darts_pl.modules import SearchModule
from tests.distributed.worker import Halves, LossScore
from tests.smooth import SmoothNet


class Counting(SearchModule):
    """Notes how many numbers stand in every buffer that ranks would exchange."""

    def mean(self, tensors):
        self.sent = [*getattr(self, "sent", []), sum(tensor.numel() for tensor in tensors)]
        return tensors


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.parametrize("order", ORDERS.list())
def test_a_first_order_step_sends_alphas_and_weights_a_second_order_one_twice_the_one_and_thrice_the_other(order):
    net = SmoothNet(dropout=0.0).double()
    weights = WeightRecipe(0.1, 0.01, 0.9, 3e-4, 5.0, 1)
    alphas = AlphaRecipe(3e-2, (0.5, 0.999), 1e-3)
    module = Counting(net, order=ORDERS.get(order)(), weights=weights, alphas=alphas, radius=0.01, scores=LossScore)
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
    assert module.sent == ([a, p] if order == "first" else [p, p, 2 * a, p])
