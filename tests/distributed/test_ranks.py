"""Two processes with batches of 4 do what one does with batches of 8; where they do not, the run stops."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from darts_pl.bilevel import ORDERS
from darts_pl.callbacks import CheckRanksAgree
from darts_pl.callbacks import ranks as ranks_module
from tests.distributed.worker import EPOCHS, SIZE, search

ROOT = Path(__file__).parents[2]


def launch(folder, *arguments, worker="worker.py"):
    """A worker in two processes, as torchrun starts them; returns exit status, what they said, and seconds."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(Path(__file__).parent / worker), str(folder), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - started


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What both ranks noted, by order."""
    folder = tmp_path_factory.mktemp("ranks")
    status, said, _ = launch(folder)
    assert status == 0, said
    return {order: [torch.load(folder / f"{order}_{rank}.pt") for rank in (0, 1)] for order in ORDERS}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same of one process with the joint batch."""
    return {order: search(order, tmp_path_factory.mktemp("alone"), 1, 8) for order in ORDERS}


def largest_difference(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("order", ORDERS.list())
def test_alphas_and_weights_are_those_of_one_process_with_the_joint_batch(order, ranks, alone):
    first, second = ranks[order]
    steps = alone[order]["steps"]
    assert len(steps) == len(first["steps"]) == EPOCHS * 4
    moved = largest_difference(steps[0]["parameters"], steps[-1]["parameters"])
    differences = [
        largest_difference(ours["parameters"], expected["parameters"])
        for rank in (first, second)
        for ours, expected in zip(rank["steps"], steps, strict=True)
    ]
    assert moved > 0.01
    assert max(differences) <= 1e-10


@pytest.mark.parametrize("order", ORDERS.list())
def test_both_ranks_hold_the_same_from_the_very_first_step_on(order, ranks):
    for one, other in zip(*(rank["steps"] for rank in ranks[order]), strict=True):
        assert all(torch.equal(one["parameters"][name], other["parameters"][name]) for name in one["parameters"])


def test_the_ranks_read_disjoint_shares_that_are_together_what_one_process_reads(ranks, alone):
    for half in ("train", "valid"):
        read = [[step["indices"][half].tolist() for step in rank["steps"]] for rank in ranks["first"]]
        joint = [step["indices"][half].tolist() for step in alone["first"]["steps"]]
        assert [one + other for one, other in zip(*read, strict=True)] == joint
        for epoch in (slice(0, 4), slice(4, 8)):
            assert sorted(index for rank in read for batch in rank[epoch] for index in batch) == list(range(SIZE))


def test_a_validation_scores_the_whole_half_on_both_ranks(ranks, alone):
    for rank in ranks["second"]:
        torch.testing.assert_close(rank["valid_losses"], alone["second"]["valid_losses"], rtol=1e-10, atol=0)


class OfTwoRanks:
    """Stands for a Trainer and its module on rank 0; rank 1 holds `other`."""

    world_size, current_epoch = 2, 4

    def __init__(self, own):
        self.own, self.supernet = own, self

    def architecture(self):
        return self.own

    def genotype(self):
        return "the same"


@pytest.mark.parametrize(
    ("name", "values", "place", "words"),
    [
        ("alphas.normal", torch.zeros(5, 4), (3, 2), "alphas.normal, edge 3, candidate 2: 0 and 0.25"),
        ("betas.normal", torch.zeros(5), (3,), "betas.normal, edge 3: 0 and 0.25"),
        ("relaxation.temperature", torch.zeros(()), (), "relaxation.temperature: 0 and 0.25"),
    ],
)
def test_every_architecture_parameter_is_compared_whatever_its_shape(name, values, place, words, monkeypatch):
    other = values.clone()
    other[place] += 0.25
    monkeypatch.setattr(ranks_module, "_gathered", lambda own, _: [own, ({name: other}, own[1])])
    trainer = OfTwoRanks({name: values})
    message = f"epoch 5: ranks 0 and 1 hold different architecture parameters: {words}"
    with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
        CheckRanksAgree().on_train_epoch_end(trainer, trainer)


@pytest.mark.slow
def test_ranks_that_hold_different_alphas_stop_the_run_and_name_the_difference(tmp_path):
    status, said, _ = launch(tmp_path, "alphas")
    assert status != 0
    assert "epoch 1: ranks 0 and 1 hold different architecture parameters: alphas.reduce, edge 1, candidate 2:" in said


@pytest.mark.slow
def test_a_rank_that_fails_ends_the_run_on_all_ranks_with_its_reason(tmp_path):
    status, said, seconds = launch(tmp_path, "raise")
    assert status != 0
    assert "rank 1 was told to fail" in said
    assert seconds < 60 + 30  # a minute, and the start of two processes on a busy machine
