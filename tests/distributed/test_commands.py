"""Commands in several processes: they leave what one process leaves, go on after a stop, and end together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.forked import kill_what_runs, run_on_ranks, start_command

RUN = Path(__file__).parents[2] / "run.py"
SMALL = ["data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=2", "search.batch_size=40"]
SMALL += ["search.candidates=[none,skip_connect,max_pool_3x3,sep_conv_3x3]", "search.epochs=2", "order=first"]
FAULT = """
import os
from torch import nn
from darts_pl.ops import candidate

class Failing(nn.Identity):
    calls = 0

    def forward(self, x):
        Failing.calls += 1
        if Failing.calls == 40 and os.environ.get("LOCAL_RANK", "0") == os.environ["FAILING_RANK"]:
            raise {error}
        return x

@candidate("failing")
def failing(channels, stride, affine):
    return nn.Sequential(nn.MaxPool2d(3, stride, 1), Failing())
"""


@pytest.fixture(autouse=True)
def _no_command_outlives_its_test():
    yield
    kill_what_runs()


def finished(folder, *arguments, ranks=1):
    """The summary of a command that has been run to its end in so many processes, which share their imports."""
    log = folder.parent / f"{folder.name}.log"
    arguments = [*arguments, f"hydra.run.dir={folder}"]
    if ranks == 1:
        process = start_command(arguments, log)
        process.join(300)
        status = process.exitcode
    else:
        status = run_on_ranks(ranks, [*arguments, "hardware=ddp_cpu"], log)
    assert status == 0, log.read_text()
    return json.loads((folder / "summary.json").read_text())


def state(folder):
    with np.load(folder / "alphas.npz") as alphas:
        rows = {name: values.tobytes() for name, values in alphas.items()}
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    tensors = {
        name: value.numpy().tobytes() if torch.is_tensor(value) else value
        for name, value in checkpoint["state_dict"].items()
    }
    statistics = [
        {name: value.numpy().tobytes() for name, value in rank["module"]["buffers"].items()}
        for rank in checkpoint["ranks"]
    ]
    return rows, tensors, statistics


@pytest.mark.slow
def test_a_search_in_two_processes_that_is_stopped_goes_on_bit_by_bit_with_the_statistics_of_each(start, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    summary = finished(whole, *SMALL, ranks=2)
    process, log = start(parts, *SMALL, "hardware=ddp_cpu", "save_every=2")
    while not (parts / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143, log.read_text()
    assert "resume=true" in log.read_text()
    again = finished(parts, *SMALL, "resume=true", ranks=2)
    alphas, tensors, statistics = state(whole)
    assert (alphas, tensors, statistics) == state(parts)
    assert len(statistics) == 2
    assert statistics[0] != statistics[1]  # BatchNorm's are each rank's own
    assert {**summary, "seconds": 0} == {**again, "seconds": 0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "error"), [("0", "MemoryError('no memory left')"), ("1", "RuntimeError('this rank was told to fail')")]
)
def test_one_rank_that_fails_ends_the_command_within_a_minute_and_says_why(rank, error, start, tmp_path):
    (tmp_path / "fault.py").write_text(FAULT.format(error=error))
    candidates = ["imports=[fault]", "search.candidates=[none,skip_connect,failing]"]
    process, log = start(tmp_path / "run", *SMALL, *candidates, "hardware=ddp_cpu", FAILING_RANK=rank)
    while "Initializing distributed" not in log.read_text():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    started = time.monotonic()
    status = process.wait(120)
    assert status != 0
    assert time.monotonic() - started < 60
    assert error.split("'")[1] in log.read_text()
    time.sleep(1)
    assert not still_running(tmp_path)


def still_running(folder):
    """Processes of this run that are left, by their command lines."""
    listed = subprocess.run(["ps", "axo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line and "run.py" in line]


@pytest.mark.slow
def test_a_training_in_two_processes_steps_as_one_with_the_joint_batch(tmp_path):
    """BatchNorm normalises each half of the batch on its own, so the results are only close."""
    train = ["task=retrain", "genotype=darts_v1", "data=digits", "train.layers=3", "train.init_channels=4"]
    train += ["train.epochs=4", "train.cutout=0", "train.drop_path=0", "train.auxiliary_weight=0"]
    alone = finished(tmp_path / "alone", *train, "train.batch_size=96")
    together = finished(tmp_path / "together", *train, "train.batch_size=48", ranks=2)
    assert together["parameters"] == alone["parameters"]
    assert together["retrain/train_loss"] == pytest.approx(alone["retrain/train_loss"], rel=0.1)
    assert together["test/accuracy"] > 0.5


UNREAD = {
    "before last, in normal cells": ([1, 1, 2, 1], [0, 1, 2, 0]),
    "before last, in all cells": ([1, 1, 2, 1], [1, 1, 1, 2]),
    "last, in reduction cells": ([0, 1, 0, 2], [0, 0, 2, 0]),
}


@pytest.mark.slow
@pytest.mark.parametrize("unread", UNREAD)
def test_a_genotype_that_never_reads_one_of_its_inputs_trains_in_two_processes(unread, tmp_path):
    operations = ("sep_conv_3x3", "skip_connect", "dil_conv_3x3", "max_pool_3x3")
    normal, reduce = ([*zip(operations, sources, strict=True)] for sources in UNREAD[unread])
    text = f"Genotype(normal={normal}, normal_concat=[2, 3], reduce={reduce}, reduce_concat=[2, 3])"
    (tmp_path / "genotype.txt").write_text(text)
    train = ["task=retrain", f"genotype={tmp_path / 'genotype.txt'}", "data=digits", "train.layers=4"]
    train += ["train.init_channels=2", "train.epochs=1", "train.cutout=0", "train.auxiliary_weight=0"]
    alone = finished(tmp_path / "alone", *train, "train.batch_size=400")
    together = finished(tmp_path / "together", *train, "train.batch_size=200", ranks=2)
    assert together["parameters"] == alone["parameters"]
    assert together["retrain/train_loss"] == pytest.approx(alone["retrain/train_loss"], rel=0.1)


@pytest.mark.slow
def test_torchrun_starts_a_run_whose_processes_agree_on_its_folder(tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def torchrun(*options):
        command = [sys.executable, "-m", "torch.distributed.run", *options, "--nproc-per-node=2", str(RUN), *SMALL]
        command += ["hardware=ddp_cpu", "search.epochs=1"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    unnamed = torchrun("--master-port=29555")
    assert unnamed.returncode != 0
    assert "under torchrun all processes need one folder: give hydra.run.dir=" in unnamed.stderr
    named = torchrun("--standalone")  # which gives its job a name
    assert named.returncode == 0, named.stderr
    (folder,) = (tmp_path / "outputs" / "search").glob("torchrun_*")
    assert json.loads((folder / "summary.json").read_text())["batches"] == 9  # pairs of 2 x 40 of 720 images


@pytest.mark.slow
def test_the_quickstart_in_two_processes(start, tmp_path):
    """All parts of the job one after the other, with fewer epochs."""
    shorter = ["search.epochs=1", "train.epochs=6", "task.compare_random=1"]
    process, log = start(tmp_path / "run", "experiment=quickstart", *shorter, "hardware=ddp_cpu")
    assert process.wait(600) == 0, log.read_text()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["test/accuracy"] > 0.9
    assert len((tmp_path / "run" / "search" / "genotypes.jsonl").read_text().splitlines()) == 2
