"""How the processes of a run find each other: strategy, machines, scheduler."""

from __future__ import annotations

import atexit
import functools
import inspect
import os
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch.nn.parallel import DistributedDataParallel

from darts_pl.errors import UserError
from darts_pl.launcher_environment import slurm_tasks
from darts_pl.runs.hardware import HardwareSettings

#: Torch's name of the option that sends rank 0's running statistics to all ranks before each forward pass.
_NEWER = "forward_sync_buffers"
_STAY = _NEWER if _NEWER in inspect.signature(DistributedDataParallel).parameters else "broadcast_buffers"


def strategy_of(hardware: HardwareSettings, *, unused_weights: bool = False) -> str | Strategy:
    """Lightning's strategy. Several processes mean DDP, with running statistics that stay each rank's own.

    Args:
        hardware: devices, nodes and strategy.
        unused_weights: whether some weights never get a gradient. DDP must then look for them in every step;
            otherwise it waits for their gradients in vain.
    """
    one = _is_one(hardware.devices) and number_of_nodes(hardware) == 1 and world_size_given() == 1
    if hardware.strategy == "auto" and one:
        return "auto"
    stay: dict[str, Any] = {_STAY: False}
    _leave_at_exit()
    return DDPStrategy(find_unused_parameters=unused_weights, **stay)


@functools.cache
def _leave_at_exit() -> None:
    """Have this process leave its process group before Python ends. Lightning does so for NCCL alone; the threads of a
    gloo group that is still there may abort a process whose run has finished."""
    atexit.register(_leave)


def _leave() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def number_of_nodes(hardware: HardwareSettings) -> int:
    """The number of machines: the configured one, else that of SLURM or torchrun, else one."""
    if hardware.nodes is not None:
        return hardware.nodes
    if "SLURM_NNODES" in os.environ and slurm_tasks() > 1:
        return int(os.environ["SLURM_NNODES"])
    return world_size_given() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if _under_torchrun() else 1


def world_size_given() -> int:
    """The number of processes that torchrun started; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if _under_torchrun() else 1


def scheduler() -> list[Any]:
    """Lightning's plugins for SLURM. Lightning must not resubmit the job: a run that receives the stop signal saves
    and ends, and the scheduler restarts it if the user wants that (``sbatch --requeue``).

    Raises:
        UserError: if SLURM does not know how many processes each machine gets.
    """
    try:
        found: list[ClusterEnvironment] = [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
    except RuntimeError:
        raise UserError(
            f"SLURM started {slurm_tasks()} tasks and does not say how many on each machine: give srun or sbatch "
            "--nodes and --ntasks-per-node in place of --ntasks"
        ) from None
    return found


def keep_signals(trainer: pl.Trainer) -> None:
    """Keep Lightning from handling SIGTERM: its handler would wait, in the middle of any operation, for a broadcast
    that the other processes do not send."""
    vars(trainer._signal_connector)["register_signal_handlers"] = lambda: None  # Lightning has no switch for it


def _is_one(devices: int | str | list[int]) -> bool:
    return devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1)


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and "WORLD_SIZE" in os.environ
