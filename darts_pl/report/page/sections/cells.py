"""The found cells beside those that they were compared with, and the network that the cell builds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.report.page.architecture import mixed_of
from darts_pl.report.page.blocks import Block, Cells, Network, Paragraph
from darts_pl.report.page.network_stages import facts_of, network_of, network_stages
from darts_pl.report.page.run_files import RunFiles, parsed
from darts_pl.report.page.sections.registry import Report, measure_of, section
from darts_pl.report.strengths import Strengths
from darts_pl.spaces import space_of

#: Different genotypes that are drawn for comparison.
MOST_OTHERS = 6


@section("cells", "The cells")
def found_cells(report: Report) -> Sequence[Block]:
    """What was found, with the mixing weights of a search, and the random or published cells beside it."""
    if report.compared:
        return _compared(report)
    run = report.run
    drawn: dict[Genotype, None] = {}
    blocks: list[Block] = []
    found = run.genotype or parsed(run.summary.get("genotype"))
    if found is not None:
        strengths = _strengths(run, found)
        note = "The number behind an operation is its mixing weight at the end of the search." if strengths else ""
        blocks.append(Cells("cells", _title(run), found, strengths, note))
        drawn[found] = None
    elif (previewed := next((one for _, one in report.searches if one.genotypes), None)) is not None:
        last = previewed.genotypes[-1]
        epoch = len(previewed.genotypes) - 1
        blocks.append(Cells("cells", f"What would be derived after epoch {epoch}", last, _strengths(run, last)))
        drawn[last] = None
    for name, title, genotype, note in _others(run):
        if genotype not in drawn and len(drawn) <= MOST_OTHERS:
            drawn[genotype] = None
            blocks.append(Cells(name, title, genotype, {}, note))
    return blocks


@section("network", "The network that the cell builds")
def network(report: Report) -> Sequence[Block]:
    """Every stage with its output, parameters and multiply-adds."""
    run = report.run
    genotype = run.genotype
    part = next((one for _, one in run.everything if one.data), None)
    train = run.config.get("train")
    if report.compared or genotype is None or part is None or not train:
        return []
    space = space_of(genotype.kind)
    if space.training is None or train.get("network") != space.training:
        return []
    facts = facts_of(part.data, run.config)
    stages = network_stages(network_of(genotype, train, facts), facts)
    trained = any(report.trainings)
    text = "" if trained else "This run does not train it. It is what the settings of train build from the found cell. "
    if "vocabulary" in facts:
        text += "Sizes are texts side by side and features; multiply-adds are not counted. "
        text += "Encoder and decoder share their weights, which count once."
    else:
        text += "Sizes are channels, height and width; multiply-adds are those of convolutions and linear layers. "
    total = sum(stage.parameters for stage in stages)
    title = f"{len(stages)} stages, {total:,} parameters"
    counts = [stage.multiply_adds for stage in stages if stage.multiply_adds is not None]
    title += f", {sum(counts):,} multiply-adds per image" if counts else ""
    return [Paragraph(text.strip()), Network(title, stages)]


def _title(run: RunFiles) -> str:
    named = {"strategy": "best of the search", "random": "best random cell", "protocol": "chosen by the protocol"}
    if run.task == "retrain":
        return "The genotype that was trained"
    return f"The found genotype ({named[run.task]})" if run.task in named else "The found genotype"


def _strengths(run: RunFiles, genotype: Genotype) -> Strengths:
    """The mixing weights of the search that found `genotype`."""
    for _, part in run.everything:
        if part.arrays and (part is run or part.genotype == genotype or part.genotype is None):
            try:
                mixed = mixed_of(part)
            except (UserError, KeyError, ValueError):
                return {}
            if mixed is not None and mixed.space.kind == genotype.kind:
                return mixed.strengths()
    return {}


def _others(run: RunFiles) -> Iterator[tuple[str, str, Genotype, str]]:
    """(file, title, genotype, note) of random, published and otherwise chosen cells."""
    for name, value in run.summary.items():
        if not name.startswith("random/genotype_") or (genotype := parsed(value)) is None:
            continue
        number = name.removeprefix("random/genotype_")
        note = "".join(
            f"Test {score} {run.summary[key]:.4g}"
            for score in ("accuracy", "perplexity")
            if isinstance(run.summary.get(key := f"random/test_{score}_{number}"), (int, float))
        )
        yield f"cells_random_{number}", f"Random cell {number}", genotype, note
    count = 0
    for row in run.protocol:
        genotype = parsed(row.genotype)
        if genotype is not None:
            count += 1
            yield f"cells_row_{count}", row.name, genotype, _best_score(run, list(row.scores.values()))


def _best_score(run: RunFiles, scores: Sequence[float]) -> str:
    if not scores:
        return ""
    measure = measure_of(run)
    best = max(scores) if measure.more_is_better else min(scores)
    return f"Best {measure.name} on the valid split: {measure.shown(best)}"


def _compared(report: Report) -> list[Block]:
    by_genotype: dict[Genotype, list[str]] = {}
    for name, run in report.compared:
        found = run.genotype or parsed(run.summary.get("genotype"))
        if found is not None:
            by_genotype.setdefault(found, []).append(name)
    most = 2 * MOST_OTHERS
    blocks: list[Block] = [
        Cells(f"cells_{number}", ", ".join(names), genotype)
        for number, (genotype, names) in enumerate(list(by_genotype.items())[:most], start=1)
    ]
    if len(by_genotype) > most:
        blocks.append(Paragraph(f"{len(by_genotype) - most} more genotypes are in the table of the runs."))
    return blocks
