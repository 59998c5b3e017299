"""What the table of NAS-Bench-201 says of a cell, as lines for the terminal and as named numbers."""

from __future__ import annotations

from collections.abc import Sequence

from darts_pl.spaces.nasbench201.columns import CELLS
from darts_pl.spaces.nasbench201.table import Entry, NasBench201

#: By data set, the beginning of its columns.
_DATA_SETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ImageNet16-120": "imagenet16"}

#: Twins that are listed; of some classes there are several hundred.
_TWINS_SHOWN = 8


def describe(entry: Entry, by: str = "cifar10_test") -> list[str]:
    """Everything that the table says of one cell, in lines.

    Args:
        entry: from `NasBench201.lookup`.
        by: the accuracy behind rank, percentile and regret.
    """
    table = NasBench201()
    best, regret = table.top(1, by)[0], table.regret(entry.number, by)
    below = f"{regret:.4f} below the best, number {best.number} with {getattr(best, by):.4f}"
    doubtful = " (the published size differs)" if entry.doubtful_size else ""
    return [
        f"{entry.text}",
        f"number {entry.number} of NAS-Bench-201, with {entry.parameters:,} parameters and "
        f"{entry.multiply_adds / 1e6:.2f} M multiply-adds{doubtful}; {entry.epoch_seconds:.2f} s per epoch of 25,000 "
        "images",
        "",
        f"{'accuracy in %':16}{'valid':>10}{'test':>10}{'valid, 12 epochs':>20}{'test, 12 epochs':>20}",
        *(_accuracies(entry, title, name) for title, name in _DATA_SETS.items()),
        f"runs of the first column for CIFAR-10: {', '.join(f'{run:.3f}' for run in entry.cifar10_valid_runs)}",
        "",
        f"rank by {by}: {table.rank(entry.number, by):,} of {CELLS:,}; better than "
        f"{table.percentile(entry.number, by):.2f} % of the other cells",
        below if regret > 0 else "no cell is better",
        _twins(entry, by),
    ]


def _accuracies(entry: Entry, title: str, name: str) -> str:
    valid, test, *short = (
        getattr(entry, f"{name}_{split}{ending}") for ending in ("", "_ep12") for split in ("valid", "test")
    )
    return f"{title:16}{valid:10.4f}{test:10.4f}{short[0]:20.4f}{short[1]:20.4f}"


def _twins(entry: Entry, by: str) -> str:
    if not entry.twins:
        return "no other cell is isomorphic to it"
    values = NasBench201().column(by)
    shown = [f"{number} ({values[number]:.4f})" for number in entry.twins[:_TWINS_SHOWN]]
    more = f" and {len(entry.twins) - _TWINS_SHOWN} more" if len(entry.twins) > _TWINS_SHOWN else ""
    return f"isomorphic cells, with {by}: {', '.join(shown)}{more}"


def describe_top(entries: Sequence[Entry], by: str = "cifar10_test") -> list[str]:
    """A line of headings and one line per cell.

    Args:
        entries: from `NasBench201.top`.
        by: the accuracy that they are ordered by.
    """
    lines = [f"{'rank':>6}{by:>24}{'parameters':>12}{'M multiply-adds':>17}{'number':>8}  cell"]
    for entry in entries:
        rank = NasBench201().rank(entry.number, by)
        size = f"{entry.parameters:>12,}{entry.multiply_adds / 1e6:>17.2f}"
        lines.append(f"{rank:>6}{getattr(entry, by):>24.4f}{size}{entry.number:>8}  {entry.text}")
    return lines


def summary(entry: Entry) -> dict[str, float]:
    """The numbers that a search in this space writes into its summary, by name.

    Rank, percentile and regret are those of the test accuracy on CIFAR-10. They describe a search
    that has ended; nothing may choose by them.

    Args:
        entry: of the derived cell.
    """
    table = NasBench201()
    accuracies = ("cifar10_test", "cifar10_valid", "cifar100_test", "imagenet16_test")
    return {
        **{f"table/{name}": getattr(entry, name) for name in accuracies},
        "table/rank": table.rank(entry.number),
        "table/percentile": table.percentile(entry.number),
        "table/regret": table.regret(entry.number),
    }
