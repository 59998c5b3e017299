"""A reduction cell that is not searched (Dong and Yang, GDAS, CVPR 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import stochastic_depth

from darts_pl.errors import UserError
from darts_pl.ops import BatchNorm
from darts_pl.spaces.cnn.plan import CellPlan, preprocess

#: Groups of the two narrow convolutions, authors' code.
GROUPS = 8
#: Maps that the cell concatenates.
WIDTH = 4


class FixedReduction(nn.Module):
    """Halves both inputs by a narrow convolution and by a maximum, and concatenates the four results.

    Args:
        plan: widths; its channels must be a multiple of 8.
        affine: whether BatchNorm learns scale and shift (final networks do, a search does not).

    Raises:
        UserError: if the channels are no multiple of 8.
    """

    cell_type = "reduce"

    def __init__(self, plan: CellPlan, affine: bool) -> None:
        super().__init__()
        if plan.channels % GROUPS:
            raise UserError(
                f"the fixed reduction cell has convolutions of {GROUPS} groups, which do not divide {plan.channels} "
                f"channels; make init_channels a multiple of {GROUPS // 2}"
            )
        self.preprocess0, self.preprocess1 = preprocess(plan, affine)
        self.convolutions = nn.ModuleList(_narrow(plan.channels, affine) for _ in range(2))
        self.pools = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(3, 2, 1), BatchNorm(plan.channels, affine)) for _ in range(2)
        )

    def forward(self, before: Tensor, last: Tensor, drop_path: float = 0.0) -> Tensor:
        """The concatenated maps [B, 4*C, ceil(H/2), ceil(W/2)].

        Args:
            before, last: outputs of the two cells before.
            drop_path: probability with which each of the four maps is dropped for a sample (training only).
        """
        inputs = (self.preprocess0(before), self.preprocess1(last))
        halves = [half(x) for halves in (self.convolutions, self.pools) for half, x in zip(halves, inputs, strict=True)]
        if self.training and drop_path > 0:
            halves = [stochastic_depth(half, drop_path, mode="row") for half in halves]
        return torch.cat(halves, dim=1)


def _narrow(channels: int, affine: bool) -> nn.Sequential:
    # The bias of the first layer is not removed by the BatchNorm: the next layer pads its map with zeros.
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 3), (1, 2), (0, 1), groups=GROUPS, bias=not affine),
        nn.Conv2d(channels, channels, (3, 1), (2, 1), (1, 0), groups=GROUPS, bias=False),
        BatchNorm(channels, affine),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, bias=False),
        BatchNorm(channels, affine),
    )
