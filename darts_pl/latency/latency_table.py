"""The table of latencies: one row per operation, stride, width and map; it predicts the latency of whole networks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, Genotype, Pair
from darts_pl.latency.spread import Spread, milliseconds, nanoseconds
from darts_pl.spaces import PairClass, Space

#: Name of the file in the folder of a run of task=latency.
FILE = "latency.json"
#: Version of the file's form.
FORM = 1


class Row(NamedTuple):
    """What is measured: an operation with its stride on maps [channels, height, width]."""

    operation: str
    stride: int
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class LatencyTable:
    """Latencies of operations, from which those of whole networks are predicted.

    The latency of a network is that of all its operations, of joining their results, and of everything else, the base:
    stem, preparation of the cells' inputs, concatenations and classifier, which are the same for every genotype.

    Args:
        identity: what the latencies depend on; see `FinalNetworks.identity`.
        settings: batch size, repeats, warm-up passes.
        rows: what was measured, and how long it took.
        pairs: by class of pairs, the rows that a pair is computed by in the whole network, one per cell of its type;
            no rows for the operation "none", and for a cell type that the network does not have.
        base: what the reference networks took beside operations and joins.
        join: what it takes to add the result of one operation, in nanoseconds; 0 where all genotypes have equally many
            operations, whose joins are in the base.
        facts: what else is written down, such as the version of torch.
    """

    identity: Mapping[str, Any]
    settings: Mapping[str, int]
    rows: Mapping[Row, Spread]
    pairs: Mapping[PairClass, tuple[Row, ...]]
    base: Spread
    join: int
    facts: Mapping[str, Any]

    def of_pair(self, cell_type: str, pair: Pair, input_nodes: int) -> int:
        """What a pair and its joins take in all cells of its type together, in nanoseconds.

        Raises:
            UserError: if the table does not have its operation.
        """
        found = self.pairs.get((cell_type, pair.operation, pair.source < input_nodes))
        if found is None:
            raise UserError(
                f"select.latency: the table has no latency of {pair.operation} in the {cell_type} cell; "
                "run task=latency with the candidates of this search"
            )
        return sum(self.rows[row].median + self.join for row in found)

    def of_operations(self, genotype: Genotype) -> int:
        """What all operations of a genotype's network and their joins take, in nanoseconds."""
        inputs = KINDS.get(genotype.kind).input_nodes
        return sum(self.of_pair(name, pair, inputs) for name, cell in genotype.cells.items() for pair in cell.pairs)

    def predict(self, genotype: Genotype) -> int:
        """The latency of a genotype's network, in nanoseconds."""
        return self.base.median + self.of_operations(genotype)

    def covers(self, genotype: Genotype) -> bool:
        """Whether the table has all operations of a genotype."""
        inputs = KINDS.get(genotype.kind).input_nodes
        return all(
            (name, pair.operation, pair.source < inputs) in self.pairs
            for name, cell in genotype.cells.items()
            for pair in cell.pairs
        )

    def check_space(self, space: Space) -> None:
        """Raise UserError unless the table is of this space."""
        if self.identity["space"] != space.name:
            raise UserError(
                f"select.latency: a table with search.space={self.identity['space']}, but the search has {space.name}; "
                f"run task=latency search={space.name}"
            )

    def check(self, identity: Mapping[str, Any]) -> None:
        """Raise UserError unless the table holds for these networks on this device."""
        for name in [*identity, *self.identity]:
            ours, theirs = identity.get(name), self.identity.get(name)
            if ours != theirs:
                raise UserError(
                    f"select.latency: a table with {name} {theirs}, but the final network has {name} {ours}; "
                    "repeat task=latency with the train, data and hardware of this command"
                )

    def to_json(self, **more: Any) -> str:
        """The content of `FILE`, with times in milliseconds.

        Args:
            more: further entries, which `read` passes over.
        """
        numbers = {row: number for number, row in enumerate(self.rows)}
        plain = {
            "form": FORM,
            **self.facts,
            "identity": dict(self.identity),
            "settings": dict(self.settings),
            "base": spread_values(self.base),
            "join": {"milliseconds": milliseconds(self.join)},
            "rows": [{**row._asdict(), **spread_values(spread)} for row, spread in self.rows.items()],
            "pairs": [
                {"cell": cell, "operation": operation, "from_input": from_input, "rows": [numbers[row] for row in rows]}
                for (cell, operation, from_input), rows in self.pairs.items()
            ],
            **more,
        }
        return json.dumps(plain, indent=1) + "\n"

    def write(self, folder: Path, **more: Any) -> None:
        """Write `FILE` into a folder; see `to_json`."""
        atomic.write(folder / FILE, self.to_json(**more))

    @classmethod
    def read(cls, path: str | Path) -> LatencyTable:
        """The table in a file, or in the folder of a run of task=latency.

        Raises:
            UserError: if there is none, or it is damaged.
        """
        file = Path(path) / FILE if Path(path).is_dir() else Path(path)
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"select.latency={path}: there is no {FILE}; give the folder of a run of task=latency"
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(f"select.latency={path}: not readable as {FILE} ({type(error).__name__})") from None
        try:
            return _from_plain(plain)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:80]
            raise UserError(
                f"select.latency={path}: a damaged {FILE}, or one of another version ({reason}); repeat task=latency"
            ) from None


def spread_values(spread: Spread) -> dict[str, Any]:
    """A measured time as plain values, in milliseconds."""
    return {
        "milliseconds": milliseconds(spread.median),
        "quartiles": [milliseconds(spread.low), milliseconds(spread.high)],
        "samples": spread.samples,
    }


def _from_plain(plain: Any) -> LatencyTable:
    if plain["form"] != FORM:
        raise ValueError(f"form {plain['form']}, and not {FORM}")
    identity, settings = dict(plain["identity"]), {name: int(value) for name, value in plain["settings"].items()}
    for wanted, where in (("space", identity), *((name, settings) for name in ("batch_size", "repeats", "warmup"))):
        where[wanted]
    rows: dict[Row, Spread] = {}
    for one in plain["rows"]:
        row = Row(str(one["operation"]), *(int(one[name]) for name in Row._fields[1:]))
        rows[row] = _spread(one)
    if len(rows) != len(plain["rows"]):
        raise ValueError("two rows are of the same operation")
    pairs = {
        (str(one["cell"]), str(one["operation"]), bool(one["from_input"])): _rows_of(one, list(rows))
        for one in plain["pairs"]
    }
    join = nanoseconds(float(plain["join"]["milliseconds"]))
    if join < 0:
        raise ValueError(f"join of {plain['join']['milliseconds']} ms")
    return LatencyTable(identity, settings, rows, pairs, _spread(plain["base"]), join, {"torch": plain.get("torch")})


def _rows_of(pair: Mapping[str, Any], rows: Sequence[Row]) -> tuple[Row, ...]:
    if any(number < 0 for number in pair["rows"]):
        raise ValueError("a pair has a row below 0")
    found = tuple(rows[number] for number in pair["rows"])
    if any(row.operation != pair["operation"] for row in found):
        raise ValueError(f"the rows of {pair['operation']} are of another operation")
    return found


def _spread(plain: Mapping[str, Any]) -> Spread:
    times: Iterable[float] = (plain["milliseconds"], *plain["quartiles"])
    median, low, high = (nanoseconds(float(time)) for time in times)
    if low < 0 or not low <= median <= high:
        raise ValueError(f"{plain['milliseconds']} ms with quartiles {plain['quartiles']}")
    return Spread(median, low, high, int(plain["samples"]))
