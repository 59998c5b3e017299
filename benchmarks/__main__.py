"""How fast the program is beside the form of the published code: `python -m benchmarks` (`make benchmark`).

Every row is a ratio of two computations that take turns in one process, with the same weights and batches;
the command ends with an error where both do not compute the same function. It exits with 1 where a count
exceeds its limit or a time does so by more than 5 %.
"""

from __future__ import annotations

import os

# Read when torch is loaded: threads that wait for work sleep, so that the processor time is that of the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import platform
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from benchmarks.base import checkout
from benchmarks.measures.augmentation import augmentation
from benchmarks.measures.loop import loop, waiting
from benchmarks.measures.start import start
from benchmarks.measures.steps import (
    DisagreementError,
    Machine,
    convolutional_search,
    free,
    recurrent_search,
    trainings,
)
from benchmarks.table import Result, as_plain_data, markdown, plain
from benchmarks.timing import Clock
from darts_pl.bilevel import reduced_precision, use_full_float32

GROUPS = {
    "convolutional": convolutional_search,
    "recurrent": recurrent_search,
    "training": trainings,
    "loop": loop,
    "waiting": waiting,
    "augmentation": augmentation,
    "start": start,
}


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3, help="in which both forms take turns (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: as torch chooses)")
    parser.add_argument(
        "--clock",
        choices=("process", "wall"),
        default="process",
        help="what a time is on the CPU: the processor time of this process, which other programs hardly "
        "change, or the time that passed (default: %(default)s)",
    )
    parser.add_argument(
        "--base", metavar="REVISION", default=os.environ.get("BASE"), help="another commit to compare with"
    )
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, default=list(GROUPS), metavar="GROUP", help=", ".join(GROUPS)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    return parser.parse_args()


def facts(machine: Machine, base: str | None) -> dict[str, Any]:
    """What the results were measured on."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    return {
        "device": machine.device,
        **({"gpu": torch.cuda.get_device_name()} if machine.device == "cuda" else {}),
        "cpu": f"{cpu}, {os.cpu_count()} cores, {machine.threads} threads",
        "load": f"{os.getloadavg()[0]:.1f} at the start",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "clock": machine.clock.kind,
        "rounds": machine.rounds,
        **({"base": base} if base else {}),
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def main() -> int:
    chosen = arguments()
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("error: --device cuda: no CUDA device is visible", file=sys.stderr)
        return 2
    # The same arithmetic in both forms: the published second order knows nothing of TF32, and ours switches it off.
    use_full_float32()
    assert not reduced_precision(), reduced_precision()
    torch.manual_seed(0)
    started = time.monotonic()
    results: list[Result] = []
    with checkout(chosen.base) if chosen.base else nullcontext() as folder:
        threads = torch.get_num_threads()
        machine = Machine(chosen.device, Clock(chosen.device, chosen.clock), threads, chosen.rounds, folder)
        measured_on = facts(machine, chosen.base)
        for group in chosen.only:
            print(f"{group} ...", file=sys.stderr, flush=True)
            try:
                results += GROUPS[group](machine)
            except DisagreementError as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            free()
    measured_on["minutes"] = f"{(time.monotonic() - started) / 60:.1f}"
    print(plain(results, chosen.device))
    print("\n".join(f"{name}: {value}" for name, value in measured_on.items()))
    if chosen.json:
        chosen.json.write_text(json.dumps(as_plain_data(results, measured_on), indent=2) + "\n", encoding="utf-8")
    if chosen.markdown:
        chosen.markdown.write_text(markdown(results, measured_on), encoding="utf-8")
    return int(any(result.ends_in_failure(chosen.device) for result in results))


if __name__ == "__main__":
    sys.exit(main())
