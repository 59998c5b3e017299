"""What `hardware.compile=true` costs and brings: a step with compiled parts beside the same step without::

    python -m benchmarks.compiled rnn_search --order second
    python -m benchmarks.compiled cnn_search --sizes layers=3 channels=16

Both forms have the same weights and batches and take turns in one process (see `benchmarks.timing`); nothing is printed
where their losses differ. A compilation is timed as processor time, that of the C++ compiler included, and as time that
passed; the first one of a fresh cache (`TORCHINDUCTOR_CACHE_DIR`) also makes a precompiled header.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from functools import partial
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks

from benchmarks.counting import SavedBytes
from benchmarks.measures.steps import SAME
from benchmarks.timing import Clock, alternate, ratio
from benchmarks.workloads import WORKLOADS
from darts_pl.spaces.compiled import use_compiled


def main() -> None:
    """Print one line per measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--order", choices=("first", "second"), default="first", help="of a search")
    parser.add_argument("--sizes", nargs="*", default=(), metavar="NAME=NUMBER", help="other sizes than the paper's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # in this process, whose children's time is read
    torch.set_num_threads(given.threads)
    sizes = {name: int(value) for name, _, value in (pair.partition("=") for pair in given.sizes)}
    forms = {compiled: _form(given.workload, sizes, compiled) for compiled in (False, True)}
    steps = {compiled: partial(_step, form, given.order) for compiled, form in forms.items()}
    steps[False]()
    spent, passed = _processor_time(), time.monotonic()
    steps[True]()
    spent, passed = _processor_time() - spent, time.monotonic() - passed
    losses = {compiled: form.loss() for compiled, form in forms.items()}
    assert abs(losses[True] - losses[False]) <= SAME * abs(losses[False]), f"other losses: {losses}"
    clock = Clock("cpu", "process")
    runs = {str(compiled): clock.of(step) for compiled, step in steps.items()}
    times = alternate(runs, given.rounds)
    ratios = sorted(above / below for above, below in zip(times["True"], times["False"], strict=True))
    print(
        f"{given.workload} {given.order} {sizes or 'sizes of the paper'}: loss {losses[False]:.7g}, {losses[True]:.7g}"
    )
    print(f"first step with compilation: {spent:.0f} s of processor time, {passed:.0f} s passed")
    print(
        f"step: {statistics.median(times['False']):.3f} s as it is, {statistics.median(times['True']):.3f} s compiled"
    )
    print(f"ratio: {ratio(times['True'], times['False']):.3f} (rounds {ratios[0]:.3f} to {ratios[-1]:.3f})")
    kept = {compiled: _saved(step) / 1e6 for compiled, step in steps.items()}
    print(f"kept for backward: {kept[False]:.0f} MB as it is, {kept[True]:.0f} MB compiled")


def _form(workload: str, sizes: dict[str, int], compiled: bool) -> Any:
    torch.manual_seed(0)
    form = WORKLOADS[workload](both=False, **sizes).ours
    use_compiled(form.supernet if hasattr(form, "supernet") else form.network, compiled)
    return form


def _step(form: Any, order: str) -> None:
    form.step(order) if hasattr(form, "supernet") else form.step()


def _saved(step: Any) -> int:
    """The most bytes that are kept for a backward pass; counting operations too would switch compiled code off."""
    saved = SavedBytes()
    with torch.autograd.set_multithreading_enabled(False), saved_tensors_hooks(saved.pack, saved.unpack):
        step()
    return saved.most


def _processor_time() -> float:
    """Seconds of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
