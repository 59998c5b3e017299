"""Magnitude of the softmax of the alphas, whatever the relaxation makes of them."""

from __future__ import annotations

import torch

from darts_pl.genotype import Genotype
from darts_pl.selection.magnitude import strongest
from darts_pl.selection.rules import selection_rule
from darts_pl.selection.trials import Trials
from darts_pl.spaces import Softmax, Supernet


def preview_softmax(supernet: Supernet) -> Genotype:
    """What `softmax_magnitude` derives, without trials: the preview of every epoch."""
    softmax, weights = Softmax(), {}
    with torch.no_grad():
        for name, alphas in supernet.alphas.items():
            live = torch.tensor(supernet.arch.live(name), device=alphas.device)
            edges = supernet.arch.edge_mixing(name)
            found = softmax.expected(alphas, live)
            weights[name] = found if edges is None else found * edges.unsqueeze(1)
        return strongest(supernet.space, weights)


@selection_rule("softmax_magnitude", preview=preview_softmax)
def softmax_magnitude(supernet: Supernet, trials: Trials | None = None) -> Genotype:
    """Per node the edges with the strongest candidate by the softmax of the living alphas (DrNAS's code).

    Args:
        supernet: the trained search network.
        trials: not read.
    """
    return preview_softmax(supernet)
