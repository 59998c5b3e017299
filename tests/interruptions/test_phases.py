"""Signals where no batch of a training can answer them; what is each process's own goes on with it."""

import os
import random
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pytorch_lightning.trainer.states import TrainerFn

from darts_pl.callbacks import RankStates
from darts_pl.cli import main
from darts_pl.errors import UserError
from darts_pl.modules import ClassifierModule

TRAINING = ["task=retrain", "data=digits", "genotype=darts_v1", "train.layers=3", "train.init_channels=2"]
TRAINING += ["train.epochs=1", "train.batch_size=240", "train.cutout=0"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_during_the_test_after_a_training_says_how_to_go_on(number, status, tmp_path, monkeypatch, capsys):
    test_step = ClassifierModule.test_step

    def signalled(self, batch, batch_idx):
        os.kill(os.getpid(), number)
        return test_step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ClassifierModule, "test_step", signalled)
        assert main([*TRAINING, f"hydra.run.dir={tmp_path / 'run'}"]) == status
    said = capsys.readouterr().err
    assert f"the last checkpoint is {tmp_path / 'run' / 'checkpoints' / 'last.ckpt'}" in said
    assert "to continue, repeat the command with resume=true" in said
    assert not (tmp_path / "run" / "summary.json").exists()
    assert main([*TRAINING, f"hydra.run.dir={tmp_path / 'run'}", "resume=true"]) == 0
    assert (tmp_path / "run" / "summary.json").exists()


class Stateless:
    def rank_state(self):
        return {}

    def load_rank_state(self, state):
        assert state == {}


def trainer(world_size):
    state = SimpleNamespace(fn=TrainerFn.FITTING)
    return SimpleNamespace(state=state, world_size=world_size, global_rank=0, is_global_zero=True)


def draws():
    return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(()).item()


def test_a_checkpoint_holds_every_random_generator(tmp_path):
    random.gauss(0, 1), np.random.randn()  # each of which keeps a second number for the next call
    checkpoint = {}
    RankStates().on_save_checkpoint(trainer(1), Stateless(), checkpoint)
    torch.save(checkpoint, tmp_path / "file")
    expected = draws()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    restored = RankStates()
    restored.on_load_checkpoint(trainer(1), Stateless(), torch.load(tmp_path / "file", weights_only=True))
    restored.on_train_start(trainer(1), Stateless())
    assert draws() == expected


@pytest.mark.parametrize("processes", [1, 4])
def test_a_checkpoint_from_within_an_epoch_goes_on_in_as_many_processes_only(processes):
    training, validation = {"is_last_batch": False}, {"total": {"started": 3, "completed": 3}}
    loops = {"epoch_loop.batch_progress": training, "epoch_loop.val_loop.batch_progress": validation}
    checkpoint = {"ranks": [{}, {}], "loops": {"fit_loop": loops}}
    said = f"must be resumed with the same number of processes, not with {processes}"
    with pytest.raises(UserError, match=said):
        RankStates().on_load_checkpoint(trainer(processes), Stateless(), checkpoint)
    training["is_last_batch"], validation["total"]["completed"] = True, 2
    with pytest.raises(UserError, match=said):
        RankStates().on_load_checkpoint(trainer(processes), Stateless(), checkpoint)
    validation["total"]["completed"] = 3
    RankStates().on_load_checkpoint(trainer(processes), Stateless(), checkpoint)
