"""Jobs of a sweep on several devices, which need a launcher that starts all of their processes."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import DictConfig, OmegaConf

from darts_pl.errors import UserError


def refuse_own_processes(config: DictConfig) -> None:
    """Raise UserError for a job whose processes would each start the whole sweep.

    Lightning starts the second process of a run by repeating the command, here that of the sweep. Under
    submitit on SLURM nothing is repeated, because each task starts with its job. torchrun, in contrast, starts every
    rank with a sweep of its own.

    Args:
        config: of the job.
    """
    if os.environ.get("SUBMITIT_EXECUTOR") == "slurm" and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        return
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise UserError(
            "a sweep under torchrun: each rank would run the whole sweep; start torchrun once per job, without -m\n"
            "or give the job's processes to SLURM: hydra/launcher=slurm hydra.launcher.tasks_per_node=N"
        )
    devices, nodes = processes(config)
    if devices * nodes > 1:
        raise UserError(
            f"hardware.devices={config.hardware.devices} in a sweep: the other processes would repeat the sweep\n"
            "one device per job: hardware.devices=1, side by side with hydra/launcher=joblib or slurm\n"
            f"several: hydra/launcher=slurm hydra.launcher.tasks_per_node={devices}, or one command per job"
        )


def processes(config: DictConfig) -> tuple[int, int]:
    """(processes on each machine, machines) that `hardware` asks for; anything that is not a number counts as one."""
    hardware = config.hardware
    nodes = OmegaConf.select(hardware, "nodes", default=1)
    return _count(hardware.devices, str(hardware.accelerator)), nodes if isinstance(nodes, int) else 1


def _count(devices: Any, accelerator: str) -> int:
    if OmegaConf.is_list(devices):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([name for name in devices.split(",") if name.strip()])
    if devices in ("auto", -1, "-1"):
        import torch

        return max(1, torch.cuda.device_count()) if accelerator != "cpu" else 1
    try:
        return int(devices)
    except (TypeError, ValueError):
        return 1
