"""Time of a first-order search step in the NAS-Bench-201 space, beside that of a plain per-edge form.

    python -m benchmarks.nasbench201 [--channels 16] [--cells 5] [--repeats 5] [--threads 1]

Both forms run in one process, in turns, with the same weights; the plain one is the reference of the tests.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from darts_pl.bilevel import SearchStep, first_order
from darts_pl.spaces import NasBench201Supernet, build_space
from darts_pl.spaces.nasbench201 import OPERATIONS
from tests.spaces.nasbench201 import plain_supernet
from tests.spaces.nasbench201.published_names import published_names

BATCH, LR, MOMENTUM, DECAY, CLIP = 64, 0.025, 0.9, 5e-4, 5.0
Batch = tuple[Tensor, Tensor]


def product(supernet: NasBench201Supernet, train: Batch, valid: Batch) -> Callable[[], object]:
    """One step of the product."""
    sgd = torch.optim.SGD(supernet.weights().values(), LR, MOMENTUM, weight_decay=DECAY, nesterov=True)
    adam = torch.optim.Adam(supernet.architecture().values(), 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
    step = SearchStep(supernet, order=first_order, weights=sgd, alphas=adam, grad_clip=CLIP)
    return lambda: step(train, valid, 0)


def plain(supernet: NasBench201Supernet, train: Batch, valid: Batch) -> Callable[[], object]:
    """One step of the per-edge form, with copies of the supernet's weights."""
    state: dict[str, Tensor] = {}
    for ours, values in supernet.weights().items():
        names = published_names(ours)
        parts = values.detach().chunk(len(names))
        state |= {name: part.clone().requires_grad_() for name, part in zip(names, parts, strict=True)}
    alphas = supernet.alphas["cell"].detach().clone().requires_grad_()
    sgd = torch.optim.SGD(state.values(), LR, MOMENTUM, weight_decay=DECAY, nesterov=True)
    adam = torch.optim.Adam([alphas], 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)

    def loss(batch: Batch, weights: Tensor) -> Tensor:
        return cross_entropy(plain_supernet.logits(batch[0], state, weights), batch[1])

    def step() -> None:
        (alphas.grad,) = torch.autograd.grad(loss(valid, alphas.softmax(1)), [alphas])
        adam.step()
        found = torch.autograd.grad(loss(train, alphas.detach().softmax(1)), list(state.values()))
        for values, gradient in zip(state.values(), found, strict=True):
            values.grad = gradient
        torch.nn.utils.clip_grad_norm_(state.values(), CLIP)
        sgd.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=16, help="of the first stage (default: %(default)s)")
    parser.add_argument("--cells", type=int, default=5, help="of each stage (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timed steps of each (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    supernet = NasBench201Supernet(
        build_space("nasbench201", OPERATIONS, 3), channels=arguments.channels, cells=arguments.cells, classes=10
    ).train()
    train, valid = (
        (torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=torch.channels_last), torch.randint(10, (BATCH,)))
        for _ in range(2)
    )
    forms = {"plain": plain(supernet, train, valid), "product": product(supernet, train, valid)}
    times: dict[str, list[float]] = {name: [] for name in forms}
    for repeat in range(arguments.repeats + 1):  # the first of each is not counted
        for name, step in forms.items():
            start = time.process_time()
            step()
            if repeat:
                times[name].append(time.process_time() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(
        f"C={arguments.channels}, N={arguments.cells}, batch {BATCH}, {arguments.threads} threads, "
        f"median processor time of {arguments.repeats} steps"
    )
    for name, value in medians.items():
        print(f"{name:<10}{value:8.3f} s")
    print(f"{'ratio':<10}{medians['product'] / medians['plain']:8.3f}")


if __name__ == "__main__":
    main()
