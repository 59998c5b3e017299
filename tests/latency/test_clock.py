"""Clocks of devices."""

import time

import pytest
import torch

from darts_pl.latency import CpuClock, CudaClock, ThreadClock, clock_of


def test_with_one_thread_the_time_of_other_programs_does_not_count(monkeypatch):
    assert isinstance(clock_of(torch.device("cpu")), ThreadClock)  # the tests have one thread
    clock, wall = ThreadClock(), CpuClock()
    start = clock.mark(), wall.mark()
    time.sleep(0.2)
    assert wall.seconds(start[1], wall.mark()) > 0.19
    assert clock.seconds(start[0], clock.mark()) < 0.1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert type(clock_of(torch.device("cpu"))) is CpuClock


class Event:
    """An event of a queue that is 2 ms behind the program at each record."""

    recorded = 0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self, stream):
        Event.recorded += 1
        self.at = 2.0 * Event.recorded
        self.reached = False

    def synchronize(self):
        self.reached = True

    def elapsed_time(self, other):
        assert other.reached
        return other.at - self.at


def test_a_gpu_is_measured_by_events_in_its_queue(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    device = torch.device("cuda", 0)
    clock = clock_of(device)
    assert isinstance(clock, CudaClock)
    clock.finish()
    assert waited == [device]
    start, _, end = clock.mark(), clock.mark(), clock.mark()
    assert clock.seconds(start, end) == pytest.approx(0.004)
