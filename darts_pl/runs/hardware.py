"""Settings of what the Trainer runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
