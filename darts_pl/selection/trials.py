"""What a selection rule may try out on a trained supernet: scores, tuning, and a journal of decisions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from darts_pl import atomic
from darts_pl.bilevel import Draws, Mean, device_of, evaluate, identity_mean, no_trace
from darts_pl.errors import UserError
from darts_pl.spaces import Mixing, Outcome, Supernet


class Score(NamedTuple):
    """How good a supernet is with given mixing weights.

    Args:
        loss: mean over all samples, in nats.
        accuracy: fraction of samples that are classified right; None where there are no classes.
    """

    loss: float
    accuracy: float | None


#: From an outcome and its batch: how many samples, and how many of them are right (None = no classes).
Count = Callable[[Outcome, Any], tuple[int, Tensor | None]]


class Trials:
    """Evaluations of a supernet that leave no trace in it, and decisions that survive a stop.

    A rule that is run again from the top gets the recorded answers of `decide` and passes over the
    epochs that `tune` has done, so it ends as if it had never been stopped.

    Args:
        supernet: the trained search network.
        batches: gives the batches that a score is computed from, the same at every call.
        count: see `Count`.
        tune: trains the supernet for a number of epochs; None = rules that tune are refused.
        journal: file of the decisions; None = they are kept in memory. It is read once, here; all ranks must
            have read it before one of them decides.
        writes: whether this process writes the journal; under several ranks one does.
        mean: mean over ranks.
        seed: of what a relaxation with a single path draws.
    """

    def __init__(
        self,
        supernet: Supernet,
        batches: Callable[[], Iterable[Any]],
        count: Count,
        *,
        tune: Callable[[int], None] | None = None,
        journal: Path | None = None,
        writes: bool = True,
        mean: Mean = identity_mean,
        seed: int = 0,
    ) -> None:
        self.supernet = supernet
        self.seed = seed
        self._batches = batches
        self._count = count
        self._tune = tune
        self._path = journal if writes else None
        self._mean = mean
        self._journal: dict[str, Any] = {}
        self._asked: set[str] = set()
        if journal is not None and journal.is_file():
            self._journal = _read(journal)

    def score(self, mixing: Mapping[str, Mixing] | None = None) -> Score:
        """Loss and accuracy over all batches, with the statistics of each batch in BatchNorm.

        Weights, buffers and random state are as before afterwards.

        Args:
            mixing: by cell type; None = the expected mixing weights, or, for a relaxation with a single
                path, drawn ones.
        """
        supernet, device = self.supernet, device_of(self.supernet)
        totals: list[Tensor] = []
        with torch.no_grad(), no_trace(supernet), _training(supernet):
            carry = None
            for index, batch in enumerate(self._batches()):
                draws = Draws(self.seed, index)
                now = mixing
                if now is None:
                    sample = supernet.arch.relaxation.single_path
                    now = supernet.mixing(draws("eval", device) if sample else None, sample=sample)
                with draws.seeding("eval", device):
                    outcome = evaluate(supernet, supernet.with_carry(batch, carry), now)
                carry = outcome.carry
                samples, right = self._count(outcome, batch)
                correct = outcome.loss.new_zeros(()) if right is None else right.to(outcome.loss)
                totals.append(torch.stack([outcome.loss * samples, correct, outcome.loss.new_tensor(samples)]).double())
        if not totals:
            raise UserError("the valid split holds no batch to score the supernet on")
        loss, right, samples = self._mean([torch.stack(totals).sum(0)])[0].tolist()
        return Score(loss / samples, None if self._has_no_classes(outcome, batch) else right / samples)

    def _has_no_classes(self, outcome: Outcome, batch: Any) -> bool:
        return self._count(outcome, batch)[1] is None

    def decide(self, name: str, compute: Callable[[], Any]) -> Any:
        """The recorded answer to a question, or that of `compute`, which is then recorded at once.

        Args:
            name: of the question; each is asked once in a run.
            compute: gives plain values, which JSON can hold. What is returned has gone through JSON,
                so that a resumed rule gets the same types as the first time.
        """
        assert name not in self._asked, f"decision {name!r} is asked twice"
        self._asked.add(name)
        if name not in self._journal:
            self._journal[name] = json.loads(json.dumps(compute()))
            if self._path is not None:
                atomic.write(self._path, json.dumps(self._journal, indent=1) + "\n")
        return self._journal[name]

    def tune(self, epochs: int) -> None:
        """Train the supernet for some epochs, alphas then weights as in the search.

        Raises:
            UserError: if this supernet cannot be trained here.
        """
        if epochs == 0:
            return
        if self._tune is None:
            raise UserError("this selection rule trains the supernet, for which there are no data here")
        self._tune(epochs)

    @property
    def journal(self) -> Mapping[str, Any]:
        """All decisions so far, by name."""
        return dict(self._journal)


@contextmanager
def _training(supernet: nn.Module) -> Iterator[None]:
    before = supernet.training
    supernet.train()
    try:
        yield
    finally:
        supernet.train(before)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as a journal of decisions ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not a journal of decisions")
    return found
