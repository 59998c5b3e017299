"""Clocks: what time it is on the device that computes."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any, Protocol

import torch

resource: ModuleType | None
try:
    import resource
except ImportError:  # on Windows, where interruptions are not counted
    resource = None


class Clock(Protocol):
    """Marks moments in the work of a device, and tells how far apart they are.

    Attributes:
        name: what is counted, in words.
    """

    name: str

    def finish(self) -> None:
        """Wait until the device has done all its work."""

    def mark(self) -> Any:
        """This moment, without waiting."""

    def seconds(self, start: Any, end: Any) -> float:
        """The time between two marks; waits until the device has reached the later one."""

    def interruptions(self) -> int:
        """How often so far the system took a CPU from this program to give it to another one."""


def count_interruptions() -> int:
    """Involuntary context switches of all threads of this process; 0 where the system does not count them."""
    return 0 if resource is None else int(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw)


class CpuClock:
    """The CPU computes at once, so its marks are readings of the system's wall clock."""

    name = "wall clock"

    def finish(self) -> None:
        pass

    def mark(self) -> float:
        return time.perf_counter()

    def seconds(self, start: float, end: float) -> float:
        return end - start

    def interruptions(self) -> int:
        return count_interruptions()


class ThreadClock(CpuClock):
    """Counts only the time in which this thread has a CPU, so that other programs do not make a latency longer. All
    that is measured must be computed by this thread."""

    name = "CPU time of the thread"

    def mark(self) -> float:
        return time.thread_time()

    def interruptions(self) -> int:
        return 0


class CudaClock:
    """A GPU works later than the program asks, so its marks are events in its queue.

    Args:
        device: the GPU.
    """

    name = "CUDA events"

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def finish(self) -> None:
        torch.cuda.synchronize(self.device)

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def interruptions(self) -> int:
        return count_interruptions()


def clock_of(device: torch.device) -> Clock:
    """The clock of a device; for the CPU with one thread that of the thread, with several the wall clock."""
    if device.type == "cuda":
        return CudaClock(device)
    return ThreadClock() if torch.get_num_threads() == 1 else CpuClock()
