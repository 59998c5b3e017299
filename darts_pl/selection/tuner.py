"""Training a supernet between the decisions of a selection rule."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from darts_pl import atomic
from darts_pl.bilevel import SearchStep
from darts_pl.errors import UserError
from darts_pl.selection.score import Trained
from darts_pl.settings import above, at_least, setting


@dataclass(frozen=True, kw_only=True)
class TuningSettings:
    """How a rule trains the supernet between its decisions."""

    tune_epochs: int = setting("epochs of training between two decisions", at_least(0))
    tune_lr: float = setting("learning rate of the weights there, as a fraction of search.weights.lr", above(0))
    fix_alpha: bool = setting("whether the architecture parameters stay as they are there")


@dataclass(frozen=True)
class Start:
    """Where the search ended: number of its epochs, and of its steps. What tuning draws depends on both."""

    epoch: int
    step: int


class Tuner:
    """Trains a supernet for some epochs at each call, alphas then weights, as the search did.

    After every epoch the weights, buffers and optimizers are saved. A rule that is run again from the top passes
    over the epochs that are saved already, and goes on from the last of them.

    Args:
        step: one step of the search; its optimizers are those of the tuning, and its supernet is trained.
        batches: gives the paired batches ``{"train": ..., "valid": ...}`` of an epoch.
        start: where the search ended.
        move_alphas: whether the architecture parameters are trained too.
        file: where the state is saved; None = nowhere.
        writes: whether this process saves it.
        ranks: number of processes, each of which reads its part of a batch.
        context: what a step runs in, such as autocast.
        tell: is given a line per epoch.
    """

    def __init__(
        self,
        step: SearchStep,
        batches: Callable[[int], Iterable[Mapping[str, Any]]],
        start: Start,
        *,
        move_alphas: bool = True,
        file: Path | None = None,
        writes: bool = True,
        ranks: int = 1,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.step = step
        self.batches = batches
        self.start = start
        self.move_alphas = move_alphas
        self.file = file
        self.writes = writes
        self.ranks = ranks
        self.context = context
        self.tell = tell
        self.asked = 0
        self.done = 0
        self.number = start.step
        self.samples = 0
        if file is not None and file.is_file():
            self._load(file)

    def __call__(self, epochs: int) -> None:
        """Train for `epochs` epochs more than were asked for so far.

        Raises:
            UserError: if a loss becomes infinite or is not a number.
        """
        self.asked += epochs
        while self.done < self.asked:
            loss = self._epoch(self.start.epoch + self.done)
            self.done += 1
            self._save()
            if self.tell is not None:
                self.tell(f"tuning epoch {self.done}  train loss {loss:.3f}")

    def trained(self) -> Trained:
        """How much was trained so far."""
        return Trained(self.number - self.start.step, self.samples)

    def _epoch(self, epoch: int) -> float:
        """One epoch; returns the mean train loss."""
        supernet, carried, moves = self.step.supernet, dict[str, Any](), self.move_alphas
        training = supernet.training
        supernet.train()
        total: torch.Tensor | float = (
            0.0  # a list of all losses would keep the memory of every step from being used again
        )
        count = 0
        for batch in self.batches(epoch):
            train, valid = (supernet.with_carry(batch[one], carried.get(one)) for one in ("train", "valid"))
            with self.context():
                result = self.step(train, valid, self.number, moves)
            self.number += 1
            self.samples += self.ranks * sum(int(one[1].numel()) for one in ((train, valid) if moves else (train,)))
            total = total + result.train.loss.detach().double()
            count += 1
            carried["train"] = result.train.carry
            if result.valid is not None:
                carried["valid"] = result.valid.carry
        supernet.train(training)
        loss = float(total) / count if count else float("nan")
        if not torch.tensor(loss).isfinite():
            raise UserError(f"the loss is not finite after {self.done + 1} epochs of tuning; lower select.tune_lr")
        return loss

    def _save(self) -> None:
        if self.file is None or not self.writes:
            return
        supernet = self.step.supernet
        content = io.BytesIO()
        state = {
            "epochs": self.done,
            "number": self.number,
            "samples": self.samples,
            "supernet": _tensors(supernet.state_dict()),
            "weights": self.step.weights.state_dict(),
            "alphas": self.step.alphas.state_dict(),
        }
        torch.save(state, content)
        atomic.write(self.file, content.getvalue())

    def _load(self, path: Path) -> None:
        """Take the saved state. What is fixed in the supernet is the rule's, which fixes it again."""
        device = next(iter(self.step.supernet.alphas.values())).device
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            missing, unexpected = self.step.supernet.load_state_dict(state["supernet"], strict=False)
            self.step.weights.load_state_dict(state["weights"])
            self.step.alphas.load_state_dict(state["alphas"])
            self.done, self.number = int(state["epochs"]), int(state["number"])
            self.samples = int(state.get("samples", 0))
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise UserError(f"{path}: not the tuned supernet of this search ({type(error).__name__})") from None
        if unexpected or any(not _is_table(name) for name in missing):
            raise UserError(f"{path}: the tuned supernet of another search")


def _tensors(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if not _is_table(name)}


def _is_table(name: str) -> bool:
    """Whether an entry of a supernet's state says what is removed or fixed."""
    return name.endswith("_extra_state")
