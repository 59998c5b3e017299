"""Which part of a method works with which space and order, found by running all of them for one batch::

    python -m darts_pl.tasks.declarations.compatibility docs/methods.md

This writes the table into the page, between two marks. Parts are the group files in `conf/`, the first of each
component, and the methods. Each is put into a tiny search with the parts of `method=darts` and takes one step in
float64 on random data, in every stage of the search.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from darts_pl.bilevel import OBSERVERS, ORDERS, PERTURBATIONS, AlphaRecipe, SearchStep, WeightRecipe
from darts_pl.config import Config, parse_config
from darts_pl.errors import UserError
from darts_pl.problems.search import SupernetFactory, checked_parts
from darts_pl.spaces import SPACES, Supernet

#: Groups of parts, in the order of the table.
GROUPS = ("relaxation", "edges", "skip", "perturbation", "regulariser", "stages", "observers")
#: Groups that a method chooses here; the space and the order are those of the combination.
CHOSEN = (*GROUPS, "select")
#: Parts that need another part, as a message says where it is missing: group and file of the other one.
TOGETHER: Mapping[str, Mapping[str, str]] = {
    "regulariser=kl": {"relaxation": "dirichlet"},
    "regulariser=zero_one": {"relaxation": "sigmoid"},
    "stages=widening": {"edges": "partial_channels"},
}
#: Small values of settings, by the section that they are in; used where a section has the key.
SMALL: Mapping[str, Mapping[str, Any]] = {
    "search": {"layers": 3, "init_channels": 8, "nodes": 2, "epochs": 6, "cells": 1, "units": 4, "bptt": 3},
    "stages": {"warmup_epochs": 0, "keep": [3, 2], "added_layers": [1, 2], "k": [2, 2]},
    "order": {"terms": 2, "steps": 2},
    "perturbation": {"steps": 1},
    **{f"observers.{name}": {"tolerance": 0.1} for name in ("curvature", "early_stop", "adaptive_decay")},
}
#: Candidates of a search on images.
CANDIDATES = ["none", "skip_connect", "max_pool_3x3", "sep_conv_3x3"]
#: Between which marks the table is in its page.
BEGIN, END = "<!-- compatibility: made by running it; do not edit -->", "<!-- end of compatibility -->"


@dataclass(frozen=True)
class RandomData:
    """In place of a problem: sizes of random data."""

    facts: Mapping[str, int]


DATA = RandomData({"classes": 3, "channels": 1, "height": 8, "width": 8, "vocabulary": 7})


@dataclass(frozen=True)
class Outcome:
    """What became of one combination.

    Args:
        part: such as "relaxation=gumbel".
        space: in `SPACES`.
        order: in `ORDERS`.
        reason: the one line with which it was refused; None = it ran.
    """

    part: str
    space: str
    order: str
    reason: str | None


def files_of(conf: Path, group: str, key: str = "name") -> dict[str, Path]:
    """By component of a group the first file that chooses it."""
    found: dict[str, Path] = {}
    for file in sorted((conf / group).glob("*.yaml")):
        values = OmegaConf.load(file)
        assert isinstance(values, DictConfig)
        name = next(iter(values)) if group == "observers" else OmegaConf.select(values, key)
        if name is not None:
            found.setdefault(str(name), file)
    return found


def parts_of(conf: Path) -> dict[str, dict[str, list[Path]]]:
    """By part, such as "edges=plain", the files of its group and of the groups that it needs; likewise by method."""
    found: dict[str, dict[str, list[Path]]] = {}
    for group in GROUPS:
        for name, file in files_of(conf, group).items():
            others = TOGETHER.get(f"{group}={name}", {})
            found[f"{group}={name}"] = {group: [file], **_files(conf, others)}
    for file in sorted((conf / "method").glob("*.yaml")):
        chosen = OmegaConf.to_container(OmegaConf.load(file).defaults)
        assert isinstance(chosen, list)
        pairs = (next(iter(one.items())) for one in chosen if isinstance(one, dict))
        groups = {str(group).removeprefix("override /"): names for group, names in pairs}
        found[f"method={file.stem}"] = _files(conf, {one: names for one, names in groups.items() if one in CHOSEN})
    return found


def _files(conf: Path, chosen: Mapping[str, Any]) -> dict[str, list[Path]]:
    return {
        group: [conf / group / f"{name}.yaml" for name in (names if isinstance(names, list) else [names])]
        for group, names in chosen.items()
    }


def composed(base: DictConfig, parts: Mapping[str, Sequence[Path]], order: Path) -> Config:
    """A tiny search in the space of `base` with other parts and another order.

    Args:
        base: a composed configuration of a search.
        parts: by group the files that replace it; of observers any number.
        order: file of the order.

    Raises:
        UserError: if the parts do not fit.
    """
    values: Any = OmegaConf.to_container(base)
    for group, files in {**parts, "order": [order]}.items():
        values[group] = {key: value for file in files for key, value in _content(file).items()}
    sections = {**values, **{f"observers.{name}": settings for name, settings in values["observers"].items()}}
    for section, settings in SMALL.items():
        for key, value in settings.items():
            if key in sections.get(section, ()):
                sections[section][key] = value
    if values["search"]["space"].startswith("cnn"):
        values["search"]["candidates"] = CANDIDATES
    if "k" in values["edges"]:
        values["edges"]["k"] = 4
    values["hardware"]["precision"] = "64-true"
    made = OmegaConf.create(values)
    assert isinstance(made, DictConfig)
    return parse_config(made)


def _content(file: Path) -> dict[str, Any]:
    """The content of a group file, as a copy that the caller may change."""
    return copy.deepcopy(_loaded(file))


@functools.cache
def _loaded(file: Path) -> dict[str, Any]:
    content = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def batch(space: str, seed: int) -> tuple[Tensor, Tensor]:
    """A random batch of what a space reads."""
    generator = torch.Generator().manual_seed(seed)
    if SPACES.get(space).data == "images":
        images = torch.randn(4, 1, 8, 8, generator=generator, dtype=torch.float64)
        return images, torch.randint(3, (4,), generator=generator)
    words = torch.randint(7, (4, 3), generator=generator)
    return words[:-1], words[1:]


def run(config: Config) -> None:
    """One step in each stage of a search, and what its observers do at the end of an epoch.

    Raises:
        UserError: if its parts do not fit each other or the space.
    """
    torch.manual_seed(0)
    factory = SupernetFactory(config, DATA)
    regulariser, stages = checked_parts(config, factory)
    observers = [OBSERVERS.build(settings) for settings in config.observers.values()]
    perturbation = PERTURBATIONS.build(config.perturbation)
    supernet = stages.first().double().train()
    before: SearchStep | None = None
    for number, stage in enumerate(stages.plan):
        if before is not None:
            supernet = stages.advance(before.supernet).double().train()
        step = SearchStep(
            supernet,
            order=ORDERS.build(config.order),
            weights=WeightRecipe(0.05, 0.0, 0.9, 3e-4, 5.0, 1).optimizer(supernet),
            alphas=AlphaRecipe(0.1, (0.5, 0.999), 1e-3).optimizer(supernet),
            grad_clip=5.0,
            radius=getattr(config.order, "radius", None),
            regulariser=regulariser,
            perturbation=perturbation,
            observers=observers,
            valid_batch=lambda: batch(config.search.space, 2),
        )
        if before is not None:
            optimizers = [[one.weights, one.alphas] for one in (before, step)]
            stages.carry(before.supernet, supernet, *optimizers)
        supernet.start_epoch(0, stage.epochs)
        perturbation.start_epoch(0, stage.epochs)
        _one_step(step, config.search.space, number)
        for observer in observers:
            observer.start(stage.epochs)
            observer.on_epoch_end(0, step)
        before = step


def _one_step(step: SearchStep, space: str, number: int) -> None:
    """A step whose losses are finite and that moves weights and architecture parameters."""
    supernet: Supernet = step.supernet
    searched, own = list(supernet.architecture().values()), list(supernet.weights().values())
    before = [value.detach().clone() for value in (*searched, *own)]
    result = step(batch(space, 1), batch(space, 2), number)
    moved = [not torch.equal(now, then) for now, then in zip((*searched, *own), before, strict=True)]
    finite = all(bool(value.isfinite().all()) for value in (*searched, *own))
    assert finite, "a parameter is not finite"
    assert bool(result.train.loss.isfinite()), "the loss is not finite"
    assert any(moved[: len(searched)]), "no architecture parameter moved"
    assert any(moved[len(searched) :]), "no weight moved"


def outcomes(
    bases: Mapping[str, DictConfig], conf: Path, parts: Sequence[str] | None = None, orders: Sequence[str] | None = None
) -> Iterator[Outcome]:
    """Runs combinations one by one.

    Args:
        bases: by space a composed configuration of a search in it.
        conf: the folder with the group files.
        parts, orders: which; None = all.
    """
    of_order = files_of(conf, "order")
    for part, files in parts_of(conf).items():
        for space, base in bases.items():
            for order, file in of_order.items():
                if (parts is None or part in parts) and (orders is None or order in orders):
                    try:
                        run(composed(base, files, file))
                        reason = None
                    except UserError as error:
                        reason = str(error)
                    yield Outcome(part, space, order, reason)


def table(found: Sequence[Outcome]) -> str:
    """The outcomes as Markdown: a row per part, a column per space; below it the reasons of what was refused."""
    spaces = list(dict.fromkeys(one.space for one in found))
    orders = list(dict.fromkeys(one.order for one in found))
    reasons: dict[str, int] = {}
    lines = ["| part | " + " | ".join(f"`{space}`" for space in spaces) + " |", "| --- |" + " --- |" * len(spaces)]
    for part in dict.fromkeys(one.part for one in found):
        cells = []
        for space in spaces:
            here = [one for one in found if (one.part, one.space) == (part, space)]
            works = [one.order for one in here if one.reason is None]
            notes = {reasons.setdefault(one.reason, len(reasons) + 1) for one in here if one.reason is not None}
            shown = "all orders" if len(works) == len(orders) else ", ".join(works) or "no"
            cells.append(shown + "".join(f" ({note})" for note in sorted(notes)))
        others = ", ".join(f"`{group}={name}`" for group, name in TOGETHER.get(part, {}).items())
        lines.append(f"| `{part}`{f' with {others}' if others else ''} | " + " | ".join(cells) + " |")
    lines += ["", *(f"{number}. {reason}" for reason, number in reasons.items())]
    return "\n".join(lines)


def bases_of(conf: Path) -> dict[str, DictConfig]:
    """By space a composed configuration of a search in it, of the first file that chooses the space."""
    from hydra import compose, initialize_config_dir

    files = files_of(conf, "search", "search.space")
    assert set(files) == set(SPACES), "a space without a group file"
    with initialize_config_dir(str(conf), version_base="1.3"):
        return {
            space: compose("config", [f"search={files[space].stem}", "data.path=FILE", "hydra.run.dir=FOLDER"])
            for space in SPACES
            if space in files
        }


def with_table(page: str, new: str) -> str:
    """A page with the table between its two marks replaced."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    import sys

    from darts_pl.tasks import TASKS  # registers all components and sections

    assert TASKS
    torch.set_num_threads(1)  # the tensors are tiny: more threads would only wait for each other
    inside = Path(__file__).parents[2] / "conf"
    folder = inside if inside.is_dir() else Path(__file__).parents[3] / "conf"
    page, made = Path(sys.argv[1]), table(list(outcomes(bases_of(folder), folder)))
    page.write_text(with_table(page.read_text(encoding="utf-8"), made), encoding="utf-8")
