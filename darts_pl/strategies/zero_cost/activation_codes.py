"""naswot: how different the activation codes of different images are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from darts_pl.strategies.zero_cost.registry import ZERO_COST, logits_of

_RELU = (torch.ops.aten.relu.default, torch.ops.aten.relu_.default)


@ZERO_COST.register("naswot")
def naswot(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """log |det K| of the kernel of the activation codes (Mellor, Turner, Storkey and Crowley, "Neural architecture
    search without training", ICML 2021, section 3.2); -inf where two images have the same code.

    A ReLU that several operations of a node share counts once; in the authors' networks every operation has its own.

    Args:
        network: a classifier.
        x: inputs [B, ...].
        labels: not read.
    """
    return float(torch.linalg.slogdet(kernel_of_codes(network, x))[1])


def kernel_of_codes(network: nn.Module, x: Tensor) -> Tensor:
    """K [B, B], float64 on the CPU: for each pair of images the number of ReLUs minus the Hamming distance of their
    codes, which say for every ReLU whether it is active.

    Args:
        network: any network; every ReLU that it computes counts, one for each element of the map.
        x: inputs [B, ...].
    """
    with torch.no_grad(), _Agreement(len(x)) as agreement:
        logits_of(network, x)
    return agreement.kernel


class _Agreement(TorchDispatchMode):
    """Adds up for each pair of images how many elements agree in the output of every ReLU.

    Layers are not asked, because some ReLUs are no modules: operations share one, or compute it with their neighbours.
    """

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch
        self.kernel = torch.zeros(batch, batch, dtype=torch.float64)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func in _RELU and found.shape[0] == self.batch:
            codes = (found > 0).flatten(1).double()
            self.kernel += (codes @ codes.T + (1 - codes) @ (1 - codes).T).cpu()
        return found
