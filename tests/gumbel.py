"""A relaxation that draws: softmax of the alphas plus Gumbel noise."""

import torch
from torch import Tensor

from darts_pl.spaces import Softmax


class Gumbel(Softmax):
    """Keeps the noise of every pass in `drawn`.

    Args:
        one_path: whether only the strongest candidate of each edge is alive.
    """

    def __init__(self, one_path: bool = False) -> None:
        super().__init__()
        self.single_path = one_path
        self.drawn: list[Tensor] = []

    def draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        uniform = torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)
        self.drawn.append(-(-uniform.log()).log())
        return self.drawn[-1]

    def sampled(
        self, alphas: Tensor, live: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, tuple[tuple[bool, ...], ...] | None]:
        weights = self.expected(alphas + self.draw(alphas, generator), live)
        if not self.single_path:
            return weights, None
        strongest = weights.detach().argmax(dim=1).tolist()
        columns = range(weights.shape[1])
        return weights, tuple(tuple(column == best for column in columns) for best in strongest)
