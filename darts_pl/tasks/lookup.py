"""task=lookup: what the table of a space says of a genotype, or which genotypes are the best in it."""

from __future__ import annotations

from dataclasses import dataclass

from darts_pl.errors import UserError
from darts_pl.records.folder import Summary
from darts_pl.settings import above, at_least, or_null, setting
from darts_pl.spaces import SPACES, Table, space_of
from darts_pl.tasks.declarations.registry import TaskSettings
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.retrain import find_genotype


@dataclass(frozen=True, kw_only=True)
class LookupSettings(TaskSettings):
    """A look-up."""

    table: str = setting("the space whose table is read for `top`")
    top: int | None = setting("how many of the best genotypes are shown", or_null(at_least(1), "the given genotype"))
    by: str | None = setting("the score that genotypes are ranked by; null = the main one of the table")
    max_parameters: float | None = setting("with `top`, most parameters", or_null(above(0), "any"))
    max_multiply_adds: float | None = setting("with `top`, most multiply-adds", or_null(above(0), "any"))


def lookup(context: Context) -> Summary:
    """Print what the table says of `genotype=`, or the best genotypes; returns the summary.

    Raises:
        UserError: if both or neither are asked for, a limit is given without `top`, or the table does not have the
            genotype, the score, or any genotype within the limits.
    """
    config = context.config
    if (config.genotype is None) == (config.task.top is None):
        raise UserError("task=lookup: give either genotype=TEXT, FILE, RUN or NUMBER, or task.top=10")
    for name in ("max_parameters", "max_multiply_adds"):
        if config.task.top is None and (limit := getattr(config.task, name)) is not None:
            raise UserError(f"task.{name}={limit:g}: limits the best genotypes, and not a given one; add task.top=10")
    summary = _best(config.task) if config.genotype is None else _one(config.genotype, config.task.by)
    context.folder.write_summary(summary)
    return summary


def _one(wanted: str, by: str | None) -> Summary:
    genotype = find_genotype(wanted)
    space = space_of(genotype.kind)
    if space.table is None:
        raise UserError(f"genotype={wanted:.80}: there is no table of {space.adjective} genotypes; known: {_known()}")
    print("\n".join(space.table.describe(genotype, by)))
    return {"task": "lookup", "genotype": str(genotype), **space.table.summary(genotype)}


def _best(settings: LookupSettings) -> Summary:
    genotypes, lines = get_table(settings.table).describe_top(
        settings.top or 1,
        settings.by,
        max_parameters=settings.max_parameters,
        max_multiply_adds=settings.max_multiply_adds,
    )
    print("\n".join(lines))
    return {"task": "lookup", "found": len(genotypes), "genotype": str(genotypes[0])}


def get_table(name: str) -> Table:
    """The table of the space `name`.

    Raises:
        UserError: if there is no such space, or it has none.
    """
    table = SPACES.get(name).table
    if table is None:
        raise UserError(f"task.table={name}: there is no table of this space; known: {_known()}")
    return table


def _known() -> str:
    return ", ".join(name for name in SPACES if SPACES.get(name).table is not None)
