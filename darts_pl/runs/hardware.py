"""Settings of what the Trainer runs on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
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
    compile: bool = setting("whether torch.compile translates parts of the network while it is trained")


def refuse_missing_gpu(hardware: HardwareSettings) -> None:
    """Raise UserError where a GPU is asked for and none is visible."""
    if hardware.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(
            f"hardware.accelerator={hardware.accelerator}: no CUDA device is visible; use hardware=cpu or auto"
        )


def refuse_missing_compiler(hardware: HardwareSettings) -> None:
    """Raise UserError where `hardware.compile` is set and torch.compile does not work; tries it on a sum.

    What it makes on the CPU needs a C++ compiler, on a GPU Triton and a C compiler.
    """
    if not hardware.compile:
        return
    gpu = hardware.accelerator != "cpu" and torch.cuda.is_available()
    # Without a GPU it would say that there is none, where CUDA_HOME is set or found.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    try:
        if not gpu:
            # Asked first: the sum may be in torch's cache, and would then need no compiler.
            import_module("torch._inductor.cpp_builder").get_cpp_compiler()
        torch.compile(lambda x: x + 1)(torch.zeros(2, device="cuda" if gpu else "cpu"))
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        needed = "Triton and a C compiler" if gpu else "a C++ compiler, such as g++, in PATH or named by CXX"
        raise UserError(f"hardware.compile=true: torch.compile needs {needed} ({reason:.100}); use false") from error


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
