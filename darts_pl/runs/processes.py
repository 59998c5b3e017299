"""How the processes of a run find and serve each other: strategy, machines, scheduler."""

from __future__ import annotations

import inspect
import os
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch.nn.parallel import DistributedDataParallel

from darts_pl.config import HardwareConfig
from darts_pl.errors import UserError
from darts_pl.launcher_environment import slurm_tasks

#: What torch calls sending rank 0's running statistics to all before each pass.
_NEWER = "forward_sync_buffers"
_STAY = _NEWER if _NEWER in inspect.signature(DistributedDataParallel).parameters else "broadcast_buffers"


def strategy_of(hardware: HardwareConfig, *, unused_weights: bool = False) -> str | Strategy:
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
    return DDPStrategy(find_unused_parameters=unused_weights, **stay)


def number_of_nodes(hardware: HardwareConfig) -> int:
    """How many machines: the configuration's number, else what SLURM or torchrun says, else one."""
    if hardware.nodes is not None:
        return hardware.nodes
    if "SLURM_NNODES" in os.environ and slurm_tasks() > 1:
        return int(os.environ["SLURM_NNODES"])
    return world_size_given() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if _under_torchrun() else 1


def world_size_given() -> int:
    """Processes that torchrun has started; 1 where it has not."""
    return int(os.environ["WORLD_SIZE"]) if _under_torchrun() else 1


def scheduler() -> list[Any]:
    """Lightning's plugins for SLURM. It is not to submit the job again: a run that is asked to stop
    saves and ends, and the scheduler starts it again if it is told to (``sbatch --requeue``).

    Raises:
        UserError: if SLURM was not told how many processes each machine gets.
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
    """Let a SIGTERM come to us and not to Lightning as well, whose handler waits, in the midst of whatever
    the process was doing, for a broadcast that the other processes know nothing of."""
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]  # no switch


def _is_one(devices: int | str | list[int]) -> bool:
    return devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1)


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and "WORLD_SIZE" in os.environ
