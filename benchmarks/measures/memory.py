"""The most memory that a second-order step needs, each form in a process of its own.

`python -m benchmarks.measures.memory WORKLOAD FORM DEVICE THREADS` prints the bytes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def peak(workload: str, form: str, device: str, threads: int) -> float:
    """Bytes over those of the process before the network was built.

    Args:
        workload: of `WORKLOADS`, a search.
        form: "ours" or "theirs".
        device: "cpu": the resident set; "cuda": what the allocator gave out.
        threads: of the CPU.
    """
    command = [sys.executable, "-m", "benchmarks.measures.memory", workload, form, device, str(threads)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()[-1])


def resident(field: str) -> int:
    """Bytes of a line of /proc/self/status, such as "VmRSS" or "VmHWM"."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def main() -> None:
    workload, form, device, threads = sys.argv[1:]
    import torch

    from benchmarks.workloads import WORKLOADS

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    if device == "cuda":
        torch.zeros((), device="cuda")
        idle = torch.cuda.memory_allocated()
    else:
        idle = resident("VmRSS")
    pair = WORKLOADS[workload](device)
    stepped = getattr(pair, form)
    del pair
    for _ in range(2):  # the second with momentum
        stepped.step("second")
    print(torch.cuda.max_memory_allocated() - idle if device == "cuda" else resident("VmHWM") - idle)


if __name__ == "__main__":
    main()
