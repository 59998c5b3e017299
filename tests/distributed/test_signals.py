"""Signals to a run in two processes outside its training loops, and while its first process takes long to end."""

import signal
import time

import pytest

from tests.distributed.test_commands import SMALL, still_running

pytestmark = pytest.mark.slow

AT_TEST = """
import os, signal
from darts_pl.modules import ClassifierModule

test_step = ClassifierModule.test_step

def signalled(self, batch, batch_idx):
    if os.environ.get("LOCAL_RANK", "0") == "0":
        os.kill(os.getpid(), signal.SIGTERM)
    return test_step(self, batch, batch_idx)

ClassifierModule.test_step = signalled
"""
LATE = """
import atexit, os, time

if os.environ.get("LOCAL_RANK", "0") == "0":
    atexit.register(time.sleep, 12)
"""


def test_a_signal_during_the_test_after_a_training_ends_both_processes(start, tmp_path):
    (tmp_path / "fault.py").write_text(AT_TEST)
    both = ["task=search_and_retrain", "train.epochs=1", "train.layers=3", "train.init_channels=4", "train.cutout=0"]
    process, log = start(tmp_path / "run", *SMALL, *both, "imports=[fault]", "hardware=ddp_cpu", "search.epochs=1")
    while not (tmp_path / "run" / "retrain" / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    assert process.wait(60) == 143, log.read_text()
    assert "to continue, repeat the command with" in log.read_text()
    assert not still_running(tmp_path)


def test_a_first_process_that_ends_later_than_the_others_keeps_its_exit_status(start, tmp_path):
    """As one does that uploads to W&B; Lightning kills it five seconds after another process's end, or sooner."""
    (tmp_path / "late.py").write_text(LATE)
    process, log = start(tmp_path / "run", *SMALL, "imports=[late]", "hardware=ddp_cpu", "save_every=2")
    while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143, log.read_text()
