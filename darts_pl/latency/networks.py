"""The final networks whose latency is measured: how they are built, what they read, and where they run."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, Genotype, Pair
from darts_pl.latency.clock import Clock, clock_of
from darts_pl.ops import NONE
from darts_pl.spaces import SearchSpace, Space

#: By precision, the dtype of weights and images, and that of automatic mixed precision.
PRECISIONS: Mapping[str, tuple[torch.dtype, torch.dtype | None]] = {
    "32-true": (torch.float32, None),
    "64-true": (torch.float64, None),
    "bf16-true": (torch.bfloat16, None),
    "16-true": (torch.float16, None),
    "bf16-mixed": (torch.float32, torch.bfloat16),
    "16-mixed": (torch.float32, torch.float16),
}


@dataclass(frozen=True)
class FinalNetworks:
    """Final networks of one size on one device, in evaluation mode.

    Args:
        space: what is searched.
        cells: the same as plain data.
        build: makes the network of a genotype, on the CPU.
        sizes: of every network, as plain values.
        shape: of one sample, such as (channels, height, width).
        device: what computes.
        precision: one of `PRECISIONS`.
        clock: what measures; None = the clock of the device.
    """

    space: Space
    cells: SearchSpace
    build: Callable[[Genotype], nn.Module]
    sizes: Mapping[str, Any]
    shape: tuple[int, ...]
    device: torch.device
    precision: str = "32-true"
    clock: Clock | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UserError(f"hardware.precision={self.precision}: latency is measured in {', '.join(PRECISIONS)}")

    @property
    def timer(self) -> Clock:
        """What measures."""
        return clock_of(self.device) if self.clock is None else self.clock

    @property
    def identity(self) -> dict[str, Any]:
        """What a latency depends on beside the genotype and the batch size, as plain values, in the order in which
        differences are reported."""
        return {
            "space": self.space.name,
            **{f"nodes of the {name} cell": cell.nodes for name, cell in self.cells.cells.items()},
            **{name: value for name, value in self.sizes.items() if name != "auxiliary"},  # works only while training
            "sample": "x".join(map(str, self.shape)),
            "device": device_name(self.device),
            "precision": self.precision,
            "threads": torch.get_num_threads() if self.device.type == "cpu" else None,
        }

    def network(self, genotype: Genotype) -> nn.Module:
        """The network of a genotype on the device, in evaluation mode."""
        return self.build(genotype).to(self.device, PRECISIONS[self.precision][0]).eval()

    def batch(self, size: int) -> Tensor:
        """Random samples on the device, `[size, *shape]`."""
        draw = torch.Generator().manual_seed(0)
        samples = torch.randn(size, *self.shape, generator=draw)
        return samples.to(self.device, PRECISIONS[self.precision][0])

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Passes inside this context keep no gradients and use the precision."""
        mixed = PRECISIONS[self.precision][1]
        cast: AbstractContextManager[Any] = nullcontext()
        if mixed is not None:
            cast = torch.autocast(self.device.type, mixed)
        with torch.inference_mode(), cast:
            yield


def device_name(device: torch.device) -> str:
    """What the system calls a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, [*models, platform.processor(), platform.machine()]), "CPU")


def reference_genotypes(cells: SearchSpace) -> list[Genotype]:
    """Genotypes that together have every operation of a cell type at every pair of that cell type once.

    They form a Latin square: from one genotype to the next, every pair moves on to its next operation. So each
    network mixes all operations, as searched networks do. Nodes after the first read one earlier intermediate node,
    so that operations are met behind inputs of the cell and behind nodes.

    Where "none" is a candidate, further genotypes have it at all pairs of a node but the last one: they show what it
    takes to add the results of operations.

    Args:
        cells: what is searched. Edges may have different candidates; all those of a cell type count.
    """
    allowed = {
        name: [
            operation
            for operation in dict.fromkeys(one for candidates in cell.candidates for one in candidates)
            if operation != NONE or KINDS.get(cells.kind).none
        ]
        for name, cell in cells.cells.items()
    }
    shifts = range(max(map(len, allowed.values())))
    full = [_mixed_genotype(cells, allowed, shift, sparse=False) for shift in shifts]
    if not all(NONE in operations for operations in allowed.values()):
        return full
    present = {name: [one for one in operations if one != NONE] for name, operations in allowed.items()}
    return [*full, *(_mixed_genotype(cells, present, shift, sparse=True) for shift in shifts[:-1])]


def _mixed_genotype(cells: SearchSpace, allowed: Mapping[str, list[str]], shift: int, *, sparse: bool) -> Genotype:
    nodes: dict[str, list[list[Pair]]] = {}
    for name, cell in cells.cells.items():
        operations, nodes[name], place = allowed[name], [], shift
        for target in cell.targets:
            kept = min(cell.inputs_per_node, target)
            sources = [*range(kept - 1), target - 1] if target > cell.input_nodes else list(range(kept))
            absent = kept - 1 if sparse else 0
            pairs = [Pair(NONE, source) for source in sources[:absent]]
            pairs += [
                Pair(operations[(place + index) % len(operations)], source)
                for index, source in enumerate(sources[absent:])
            ]
            nodes[name].append(pairs)
            place += kept - absent
    return cells.genotype(nodes)
