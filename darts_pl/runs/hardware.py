"""Settings of what the Trainer runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from darts_pl.errors import UserError
from darts_pl.settings import at_least, one_of, or_null, setting


@dataclass(frozen=True, kw_only=True)
class HardwareSettings:
    """What the Trainer runs on."""

    accelerator: str = setting("auto, gpu or cpu")
    devices: Any = setting("how many processes per machine, or a list of devices; -1 = all")
    precision: str = setting("precision of the computation, as Lightning calls it")
    strategy: str = setting("auto or ddp; auto is ddp where there are several processes", one_of("auto", "ddp"))
    nodes: int | None = setting("machines", or_null(at_least(1), "what SLURM or torchrun says"))
    deterministic: bool = setting("whether only deterministic algorithms are used")
    threads: int | None = setting("CPU threads per process", or_null(at_least(1), "one per core"))


def refuse_missing_gpu(hardware: HardwareSettings) -> None:
    """Raise UserError where a GPU is asked for and none is visible."""
    if hardware.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(
            f"hardware.accelerator={hardware.accelerator}: no CUDA device is visible; use hardware=cpu or auto"
        )


def device_of_hardware(hardware: HardwareSettings) -> torch.device:
    """The device of one process without a Trainer; also sets the number of CPU threads.

    Raises:
        UserError: if there is no such device.
    """
    refuse_missing_gpu(hardware)
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    if hardware.accelerator == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    first = hardware.devices[0] if isinstance(hardware.devices, (list, tuple)) and hardware.devices else 0
    return torch.device("cuda", int(first))
