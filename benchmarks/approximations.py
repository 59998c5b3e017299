"""How near the options of `order=second` come to the exact gradient, along a search on images.

    python -m benchmarks.approximations IMAGES.npz [--steps 200] [--every 20]

The file holds `train_images` or `images` (uint8 [N, H, W, 3]) and labels of the same name. At every 20th step the
gradient of the alphas is computed by each option and exactly, at the same weights and batches, and likewise the
gradient of the weights; printed are cosine similarities and relative errors, and the time of each beside a step of
`order=second`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.ours import OurSearch
from benchmarks.recipes import CNN_SEARCH
from benchmarks.workloads import CNN_CANDIDATES
from darts_pl.bilevel import (
    Draws,
    SearchStep,
    SecondOrder,
    drawn_pass,
    first_order,
    gradients,
    no_trace,
    second_order_exact,
)
from darts_pl.spaces import CnnSupernet, build_space

OPTIONS: dict[str, Callable[..., Any]] = {
    "order=first": first_order,
    "order=second": SecondOrder(),
    "order.difference=forward": SecondOrder(difference="forward"),
}


def images(path: Path, count: int) -> tuple[Tensor, Tensor]:
    """Normalised images [N, 3, H, W] and labels, in a fixed random order."""
    with np.load(path) as file:
        name = next(key for key in file.files if key.endswith(("images", "x_train")) or key == "x")
        labels = next(key for key in file.files if file[key].ndim == 1 and len(file[key]) == len(file[name]))
        chosen = np.random.default_rng(0).permutation(len(file[name]))[:count]
        pixels = torch.from_numpy(file[name][chosen]).permute(0, 3, 1, 2).float()
        pixels = (pixels - pixels.mean((0, 2, 3), keepdim=True)) / pixels.std((0, 2, 3), keepdim=True)
        return pixels, torch.from_numpy(file[labels][chosen].astype(np.int64))


def flat(values: Iterable[Tensor]) -> Tensor:
    """All values in one vector, float64."""
    return torch.cat([value.detach().flatten().double() for value in values])


def compared(found: Tensor, exact: Tensor) -> tuple[float, float]:
    """Cosine similarity, and the norm of the difference over that of the exact one."""
    cosine = torch.nn.functional.cosine_similarity(found, exact, dim=0)
    return float(cosine), float((found - exact).norm() / exact.norm())


def weight_gradient(supernet: Any, train: Any, draws: Draws) -> Tensor:
    """Of the train loss at the present alphas."""
    with no_trace(supernet):
        own = {name: weight.detach().requires_grad_() for name, weight in supernet.weights().items()}
        return flat(gradients(drawn_pass(supernet, train, "train", draws, own).loss, [*own.values()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    pixels, labels = images(chosen.images, 4000)
    space = build_space("cnn", CNN_CANDIDATES, 4)
    supernet = CnnSupernet(
        space, init_channels=chosen.channels, layers=chosen.layers, classes=int(labels.max()) + 1, alpha_scale=1e-3
    ).train()
    half, generator = len(pixels) // 2, torch.Generator().manual_seed(0)
    search = OurSearch(supernet, (pixels, labels), (pixels, labels), CNN_SEARCH)
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in (*OPTIONS, "order.reuse_weight_gradient=true")}
    seconds: dict[str, list[float]] = {name: [] for name in (*OPTIONS, "exact")}
    for number in range(chosen.steps):
        picked = [first + torch.randint(half, (chosen.batch,), generator=generator) for first in (0, half)]
        train, valid = ((pixels[index], labels[index]) for index in picked)
        step = SearchStep(
            supernet, order=SecondOrder(), weights=search.sgd, alphas=search.adam, grad_clip=5.0, radius=0.01
        )
        watched = number % chosen.every == chosen.every - 1
        if watched:
            arguments = (supernet, train, valid, step.inner_step())
            draws = Draws(0, number)
            start = time.process_time()
            exact = flat(second_order_exact(*arguments, draws=draws).gradient.values())
            seconds["exact"].append(time.process_time() - start)
            for name, order in OPTIONS.items():
                start = time.process_time()
                rows[name].append(compared(flat(order(*arguments, draws=draws).gradient.values()), exact))
                seconds[name].append(time.process_time() - start)
            before = weight_gradient(supernet, train, draws)
        weights = {name: value.detach().clone() for name, value in supernet.weights().items()} if watched else {}
        step(train, valid, number)
        if watched:  # the gradient that the weight step took, at the alphas after their step
            with no_trace(supernet):
                outcome = drawn_pass(
                    supernet, train, "train", draws, {k: v.requires_grad_() for k, v in weights.items()}
                )
                after = flat(gradients(outcome.loss, [*weights.values()]))
            rows["order.reuse_weight_gradient=true"].append(compared(before, after))
    result = {
        name: {
            "cosine": [statistics.median(one for one, _ in values), min(one for one, _ in values)],
            "error": [statistics.median(one for _, one in values), max(one for _, one in values)],
        }
        for name, values in rows.items()
    }
    times = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{'':36s} cosine: median, least    error: median, largest")
    for name, row in result.items():
        print(
            f"{name:36s} {row['cosine'][0]:.6f} {row['cosine'][1]:.6f}    {row['error'][0]:.2e} {row['error'][1]:.2e}"
        )
    print({name: round(value, 3) for name, value in times.items()})
    if chosen.json:
        chosen.json.write_text(json.dumps({"agreement": result, "seconds": times}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
