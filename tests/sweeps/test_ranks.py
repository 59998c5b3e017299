"""Jobs on several devices, refused where their processes would repeat the sweep; GPUs shared out among jobs."""

import os
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from darts_pl.errors import UserError
from darts_pl.sweeps.gpus import take_one
from darts_pl.sweeps.ranks import processes, refuse_own_processes
from tests.tiny_sweep import TINY


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        ({"accelerator": "cpu", "devices": 1}, (1, 1)),
        ({"accelerator": "cpu", "devices": 2}, (2, 1)),
        ({"accelerator": "cpu", "devices": "3"}, (3, 1)),
        ({"accelerator": "gpu", "devices": [1]}, (1, 1)),
        ({"accelerator": "gpu", "devices": [0, 1]}, (2, 1)),
        ({"accelerator": "gpu", "devices": "0,1,"}, (2, 1)),
        ({"accelerator": "cpu", "devices": "auto"}, (1, 1)),
        ({"accelerator": "gpu", "devices": "auto"}, (4, 1)),
        ({"accelerator": "auto", "devices": -1}, (4, 1)),
        ({"accelerator": "gpu", "devices": 8, "nodes": 2}, (8, 2)),
        ({"accelerator": "gpu", "devices": 1, "nodes": None}, (1, 1)),
        ({"accelerator": "gpu", "devices": "foo"}, (1, 1)),
    ],
)
def test_processes_are_counted_as_lightning_counts_them(hardware, expected, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert processes(OmegaConf.create({"hardware": hardware})) == expected


def test_a_job_on_several_devices_is_refused_with_what_works(sweep, pretend, jobs, capsys):
    calls = pretend(lambda context: {})
    assert sweep(*TINY, "data.path=none", "hardware=cpu", "hardware.devices=1,2") == 2
    assert [context.config.hardware.devices for context in calls] == [1]
    assert "hardware.devices=2 in a sweep" in capsys.readouterr().err
    remedy = jobs()[1].reason
    assert "hydra/launcher=joblib" in remedy
    assert "hydra.launcher.tasks_per_node=2" in remedy


def test_a_sweep_under_torchrun_is_refused(sweep, pretend, monkeypatch, capsys):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    calls = pretend(lambda context: {})
    assert sweep(*TINY, "data.path=none", "seed=0") == 2
    assert calls == []
    assert "torchrun" in capsys.readouterr().err


def test_tasks_that_submitit_starts_on_slurm_are_let_through(monkeypatch):
    config = OmegaConf.create({"hardware": {"accelerator": "gpu", "devices": 4, "nodes": 2}})
    with pytest.raises(UserError, match="in a sweep"):
        refuse_own_processes(config)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_NTASKS", "8")
    refuse_own_processes(config)


@pytest.mark.parametrize(
    ("process", "visible", "expected"),
    [
        ("LokyProcess-1", None, "0"),
        ("LokyProcess-3", None, "2"),
        ("LokyProcess-6", None, "1"),
        ("LokyProcess-2", "5,7", "7"),
        ("LokyProcess-2", "5", "5"),
        ("MainProcess", None, None),
        ("MainProcess", "5,7", "5,7"),
    ],
)
def test_processes_side_by_side_take_the_gpus_in_turn(process, visible, expected, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr("multiprocessing.current_process", lambda: SimpleNamespace(name=process))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible or "")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    take_one()
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == expected
