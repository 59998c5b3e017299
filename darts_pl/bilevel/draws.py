"""Every random number of a search step, as a pure function of the seed, the step and the split."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import numpy as np
import torch

Split = Literal["train", "valid", "perturb", "eval", "build", "carry"]
SPLITS: tuple[Split, ...] = ("train", "valid", "perturb", "eval", "build", "carry")


class Draws:
    """Generators for one step. Nothing has to be saved or restored: a resumed step, and every rank,
    draws the same numbers.

    The virtual step, both sides of the finite difference and the weight step use "train", so they
    draw the same numbers; the pass on the valid split uses "valid". "build" is for the supernet of a
    later stage, "carry" for what it takes over.

    Args:
        seed: of the run, 0 or more.
        position: what the step is known by, such as its number; whole numbers, 0 or more.
    """

    def __init__(self, seed: int, *position: int) -> None:
        self.run, self.position = seed, position

    def __call__(self, split: Split, device: torch.device | str) -> torch.Generator:
        """A new generator on `device`; two calls give generators that draw the same numbers."""
        return torch.Generator(device).manual_seed(self.seed(split))

    def seed(self, split: Split) -> int:
        """The seed of a split, below 2**63."""
        # Not one list of all numbers: numpy fills such a list with zeros, so that it equals a longer one.
        sequence = np.random.SeedSequence(self.run, spawn_key=(*self.position, SPLITS.index(split)))
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def seeding(self, split: Split, device: torch.device) -> AbstractContextManager[None]:
        """Within it the global generators start from the seed of `split`; on leaving they are as before.

        What draws from the global generator of the CPU or of `device`, such as dropout or a user's
        candidate, draws within it what this step prescribes.
        """
        return seeded(self.seed(split), device)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within it the global generators of the CPU and of `device` start from `seed`; on leaving they are as before."""
    state = RandomState([device])
    try:
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
    finally:
        state.rewind()


class RandomState:
    """The state of the global generators that a pass on some devices draws from."""

    def __init__(self, devices: list[torch.device]) -> None:
        self._cpu = torch.get_rng_state()
        self._cuda = {device: torch.cuda.get_rng_state(device) for device in set(devices) if device.type == "cuda"}

    def rewind(self) -> None:
        """Set the generators back to the state at construction."""
        torch.set_rng_state(self._cpu)
        for device, state in self._cuda.items():
            torch.cuda.set_rng_state(state, device)
