"""Cost of the paper's search network, beside that of the same network in the authors' per-edge form.

    python benchmarks/supernet.py [--repeats 5] [--threads 2]

Both run in one process, in turns. Operations and saved bytes do not depend on the machine, seconds do.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from counting import cost
from darts_pl.spaces import CnnSupernet
from per_edge import PerEdgeSupernet
from steps import Ours, PerEdge, both_networks, random_batch


def largest_difference(ours: CnnSupernet, theirs: PerEdgeSupernet, images: torch.Tensor) -> float:
    """Of the logits, with batch statistics."""
    with torch.no_grad():
        return (ours(images, ours.mixing()) - theirs(images)).abs().max().item()


def seconds(runs: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median time of each of `runs`, which take turns; each has run once before."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, taken in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def row(what: str, unit: str, ours: float, theirs: float, digits: int) -> str:
    """One line of the table."""
    return f"{what:<22}{unit:<14}{ours:>12,.{digits}f}{theirs:>12,.{digits}f}{ours / theirs:>8.2f}"


def rows(what: str, runs: list[Callable[[], object]], repeats: int) -> list[str]:
    """The three lines about one computation: ours and the per-edge form's."""
    ours, theirs = (cost(run) for run in runs)
    times = seconds(runs, repeats)
    return [
        row(what, "operations", ours.operations, theirs.operations, 0),
        row("", "saved MB", ours.saved / 1e6, theirs.saved / 1e6, 0),
        row("", "seconds", *times, 3),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: as torch chooses)")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    supernet, network = both_networks()
    train, valid = random_batch(), random_batch()
    print(f"torch {torch.__version__}, CPU, {torch.get_num_threads()} threads, median of {arguments.repeats}")
    print(f"largest difference of the logits: {largest_difference(supernet, network, train[0]):.1e}")
    print(f"{'':<36}{'ours':>12}{'per edge':>12}{'ratio':>8}")
    both = Ours(supernet, train, valid), PerEdge(network, train, valid)
    table = {
        "forward+backward": [form.forward_backward for form in both],
        "first-order step": [lambda form=form: form.step("first") for form in both],
        "second-order step": [lambda form=form: form.step("second") for form in both],
    }
    for what, runs in table.items():
        print("\n".join(rows(what, runs, arguments.repeats)), flush=True)


if __name__ == "__main__":
    main()
