"""What a selection rule may try out on a trained supernet: scores, tuning, and a journal of decisions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from operator import length_hint
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_pl import atomic
from darts_pl.bilevel import Draws, Mean, batch_statistics, device_of, identity_mean, scoring_pass
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.latency import FinalNetworks
from darts_pl.selection.score import Score, Size, Trained
from darts_pl.spaces import Mixing, Outcome, Supernet


class Dealt(NamedTuple):
    """How whole batches are dealt out to ranks: rank r of R has batches r, r + R, r + 2R, ... of all.

    Args:
        rank: this process.
        ranks: number of processes.
        batches: of all processes together.
    """

    rank: int
    ranks: int
    batches: int

    def number(self, index: int) -> int:
        """The number among all batches of this rank's batch `index`."""
        return self.rank + index * self.ranks

    def first(self, fraction: float) -> int:
        """How many batches of this rank are among the first `fraction` of all, of which there is at least one."""
        wanted = max(1, math.ceil(fraction * self.batches))
        return -(-max(wanted - self.rank, 0) // self.ranks)


class Progress(NamedTuple):
    """How far a rule is.

    Args:
        decided: decisions so far.
        decisions: of the whole rule.
        evaluations: scores that are still to be computed.
        last: what was decided last, in words.
    """

    decided: int
    decisions: int
    evaluations: int
    last: str


#: Name in the journal under which the settings of the rule are recorded.
IDENTITY = "settings"

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
        trained: says how much `tune` has trained so far.
        journal: file of the decisions; None = they are kept in memory. It is read once, here; all ranks must
            have read it before one of them decides.
        writes: whether this process writes the journal; under several ranks one does.
        mean: mean over ranks.
        seed: of what a relaxation with a single path, or the rule, draws.
        size: of the final network of a genotype, as it would be trained; None = rules that need it are refused.
        networks: gives the final networks of genotypes on this device, for rules that measure their latency; None =
            such rules are refused.
        identity: what the decisions depend on, as plain values. It is recorded before the first decision; a
            journal of something else is refused.
        dealt: how whole batches are dealt out to ranks, so that a score depends on no number of ranks; None = every
            rank has its part of each batch, or there is one.
        watch: is given the progress after every decision and every score of a rule that says how many it makes.
        tell: is given lines for the user.
    """

    def __init__(
        self,
        supernet: Supernet,
        batches: Callable[[], Iterable[Any]],
        count: Count,
        *,
        tune: Callable[[int], None] | None = None,
        trained: Callable[[], Trained] = Trained,
        journal: Path | None = None,
        writes: bool = True,
        mean: Mean = identity_mean,
        seed: int = 0,
        size: Callable[[Genotype], Size] | None = None,
        networks: Callable[[], FinalNetworks] | None = None,
        identity: Mapping[str, Any] | None = None,
        dealt: Dealt | None = None,
        watch: Callable[[Progress], None] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.supernet = supernet
        self.seed = seed
        self._batches = batches
        self._count = count
        self._tune = tune
        self.trained = trained
        self._path = journal if writes else None
        self._mean = mean
        self._size = size
        self._networks = networks
        self._identity = None if identity is None else json.loads(json.dumps(identity))
        self._dealt = dealt
        self._watch = watch
        self._tell = tell
        self._progress = Progress(0, 0, 0, "")
        self._journal: dict[str, Any] = {}
        self._asked: set[str] = set()
        if journal is not None and journal.is_file():
            self._journal = _read(journal)
            self._check_identity(journal)

    def score(self, mixing: Mapping[str, Mixing] | None = None, fraction: float = 1.0) -> Score:
        """Loss and accuracy over all batches, or the first of them, with the statistics of each batch in BatchNorm.

        Weights, buffers and random state are as before afterwards.

        Args:
            mixing: by cell type; None = the expected mixing weights, or, for a relaxation with a single
                path, drawn ones.
            fraction: of the batches that is read, above 0, at most 1; at least one batch is.
        """
        supernet = self.supernet
        total = torch.zeros(3, dtype=torch.float64, device=device_of(supernet))
        with torch.no_grad(), batch_statistics(supernet):
            carry = None
            for index, batch in enumerate(self._first(fraction)):
                if not batch[1].numel():  # this rank has one batch less than others
                    continue
                draws = Draws(self.seed, index if self._dealt is None else self._dealt.number(index))
                outcome = scoring_pass(supernet, supernet.with_carry(batch, carry), draws, mixing)
                carry = outcome.carry
                samples, right = self._count(outcome, batch)
                found = [outcome.loss * samples, math.nan if right is None else right, samples]
                total = total + torch.stack([torch.as_tensor(one, device=total.device).double() for one in found])
        loss, right, samples = self._mean([total])[0].tolist()
        if not samples:
            raise UserError("the valid split holds no batch to score the supernet on")
        if self._progress.evaluations > 0:
            self._now(self._progress._replace(evaluations=self._progress.evaluations - 1))
        return Score(loss / samples, None if math.isnan(right) else right / samples)

    def _first(self, fraction: float) -> Iterable[Any]:
        if fraction == 1:
            return self._batches()
        if self._dealt is not None:
            return islice(self._batches(), self._dealt.first(fraction))
        batches = self._batches()
        number = length_hint(batches) or sum(1 for _ in self._batches())
        return islice(batches, max(1, math.ceil(fraction * number)))

    def decide(self, name: str, compute: Callable[[], Any], evaluations: int = 0) -> Any:
        """The recorded answer to a question, or that of `compute`, which is then recorded at once.

        Args:
            name: of the question; each is asked once in a run.
            compute: gives plain values, which JSON can hold. What is returned has gone through JSON,
                so that a resumed rule gets the same types as the first time.
            evaluations: how many scores `compute` computes; the progress counts them down where the answer is
                recorded.
        """
        assert name not in self._asked, f"decision {name!r} is asked twice"
        self._asked.add(name)
        if name not in self._journal:
            if self._identity is not None:
                self._journal.setdefault(IDENTITY, self._identity)
            self._journal[name] = json.loads(json.dumps(compute()))
            self.write()
        elif evaluations:
            self._now(self._progress._replace(evaluations=max(self._progress.evaluations - evaluations, 0)))
        if self._progress.decisions:
            self._now(self._progress._replace(decided=self._progress.decided + 1, last=name))
        return self._journal[name]

    def write(self) -> None:
        """Write the journal, also where there is no decision in it."""
        if self._path is not None:
            atomic.write(self._path, json.dumps(self._journal, indent=1) + "\n")

    def expect(self, *, decisions: int, evaluations: int) -> None:
        """Say how many decisions and scores the rule will make, for the progress on screen."""
        self._progress = Progress(0, decisions, evaluations, "")

    def tell(self, line: str) -> None:
        """Show a line to the user."""
        if self._tell is not None:
            self._tell(line)

    def size(self, genotype: Genotype) -> Size:
        """How large the final network of a genotype is, as it would be trained.

        Raises:
            UserError: if nobody can tell here.
        """
        if self._size is None:
            raise UserError("this selection rule needs the size of final networks, which is not known here")
        return self._size(genotype)

    def final_networks(self) -> FinalNetworks:
        """The final networks of genotypes, as they would be trained, on the device whose latency counts.

        Raises:
            UserError: if nobody can build them here.
        """
        if self._networks is None:
            raise UserError("this selection rule measures final networks, which are not known here")
        return self._networks()

    def _now(self, progress: Progress) -> None:
        self._progress = progress
        if self._watch is not None:
            self._watch(progress)

    def _check_identity(self, path: Path) -> None:
        ours, stored = self._identity, self._journal.get(IDENTITY)
        if ours is None or not isinstance(stored, dict) or stored == ours:
            return
        key = next(one for one in [*ours, *stored] if stored.get(one) != ours.get(one))
        raise UserError(
            f"{path}: holds decisions with {key}={stored.get(key)}, and not {key}={ours.get(key)}; "
            "repeat these settings, or use another hydra.run.dir"
        )

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
        return {name: value for name, value in self._journal.items() if name != IDENTITY}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as a journal of decisions ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not a journal of decisions")
    return found
