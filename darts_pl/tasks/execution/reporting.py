"""The report of a run, written into its folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from darts_pl import __version__, atomic
from darts_pl.config import flatten
from darts_pl.quoting import assignment
from darts_pl.report.page import Report, RunFiles, build_sections, read_run_files, render_page
from darts_pl.report.page.sections.overview import duration
from darts_pl.report.page.sections.registry import measure_of
from darts_pl.run_folder import shown as shown_path
from darts_pl.spaces import SPACES
from darts_pl.tasks.execution.next_commands import perturbation_of
from darts_pl.tasks.execution.scores import shown

FILE = "report.html"
#: Values that say where a run is and whether it goes on, not what it is.
NOT_COMPARED = ("resume", "overwrite", "run", "runs", "genotype", "checkpoint")
#: By task, what a page calls the run.
TITLES: Mapping[str, str] = {
    "search": "Search",
    "search_and_retrain": "Search and training",
    "retrain": "Training",
    "test": "Test",
    "derive": "Selection of a genotype",
    "strategy": "Search without gradients",
    "random": "Random search",
    "protocol": "Protocol",
    "correlate": "Shared weights against separate trainings",
    "collect": "Collection of runs",
}
#: Numbers at the top of a page.
MOST_HEADLINES = 6


def write_report(folder: Path) -> Path | None:
    """Write `report.html` into the folder of a run; returns its path.

    A report that cannot be made costs one line on screen and nothing else.
    """
    try:
        page = report_page(read_run_files(folder))
        atomic.write(folder / FILE, page)
    except Exception as error:  # whatever it is, the run itself has its result
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        print(
            f"{FILE} was not written ({reason}); task=report {assignment('run', str(folder))} tries again", flush=True
        )
        return None
    return folder / FILE


def report_page(run: RunFiles) -> str:
    """The page of one run."""
    return render_page(
        title_of(run), run.state, list(_headline(run)), build_sections(report_of(run)), f"darts_pl {__version__}"
    )


def report_of(run: RunFiles) -> Report:
    """What the sections of a page are made of."""
    return Report(run, _differences(run.config), command_of(run), list(_next_commands(run)))


def comparison_page(runs: Sequence[tuple[str, RunFiles]]) -> str:
    """A page with several runs beside each other, by name."""
    report = Report(runs[0][1], compared=runs)
    sections = [one for one in build_sections(report) if one.key not in ("warnings", "run")]
    states = dict.fromkeys(run.state for _, run in runs)
    return render_page(f"Comparison of {len(runs)} runs", ", ".join(states), [], sections, f"darts_pl {__version__}")


def title_of(run: RunFiles) -> str:
    """What was run, in a few words."""
    name = TITLES.get(run.task, run.task)
    without_data = run.task in ("collect", "correlate") or (run.history and run.setting("evaluator.name") == "table")
    named = None if run.task == "derive" else run.setting("data.name")  # derive reads the data of another run
    data = None if without_data else named or run.summary.get("data")
    seed = run.setting("seed", run.summary.get("seed"))
    parts = [name if data is None else f"{name} on {data}"]
    if run.history and run.choices.get("strategy"):
        parts.append(str(run.choices["strategy"]))
    elif run.task in ("search", "search_and_retrain", "protocol") and run.config.get("method"):
        parts.append(str(run.config["method"]))
    return ", ".join([*parts, *([] if seed is None or run.task == "collect" else [f"seed {seed}"])])


def command_of(run: RunFiles, *others: str) -> str:
    """The command that starts the run again; "" where the folder does not tell.

    Args:
        run: of the run.
        others: further arguments.
    """
    if not run.config:
        return ""
    skipped = ("resume=", "overwrite=", "hydra.run.dir=")
    given = [shlex.quote(one) for one in run.overrides if not one.startswith(skipped)]
    return " ".join(["python run.py", *given, *others])


def _next_commands(run: RunFiles) -> Iterator[tuple[str, str]]:
    folder = shown_path(run.folder)
    begun = run.selection or run.history or next(run.folder.glob("**/last.ckpt"), None) is not None
    if run.state != "finished" and begun:
        yield "Continue it", command_of(run, assignment("resume", folder))
    if run.state != "finished":
        return
    data = [shlex.quote(one) for one in run.overrides if one.startswith(("data=", "data."))]
    if run.task in ("search", "derive", "strategy", "random", "protocol"):
        yield (
            "Train the network of this cell",
            " ".join(["python run.py task=retrain", assignment("genotype", folder), *data]),
        )
    if run.task == "search" and (space := run.setting("search.space")) in SPACES:
        again = " ".join(perturbation_of(folder, SPACES.get(space)))
        yield "Choose another cell with the same supernet", f"python run.py {again}"
    if (trained := _trained(run)) is not None:
        network = assignment("run", shown_path(trained.folder))
        yield "Score the trained network again", f"python run.py task=test {network}"
        yield "Export it", f"python run.py task=export {network} format=onnx"
    yield "All plots as vector files", f"python run.py task=figures {assignment('run', folder)} format=pdf"


def _trained(run: RunFiles) -> RunFiles | None:
    """The run whose network may be scored: this one, or a full training of the cell that a protocol chose."""
    if run.task in ("retrain", "search_and_retrain"):
        return run
    finals = [part for name, part in run.parts.items() if name.startswith("final/") and part.summary]
    return next((part for part in finals if part.genotype == run.genotype), None)


def _headline(run: RunFiles) -> Iterator[tuple[str, str, str]]:
    """(label, value, remark) of the first numbers of the summary."""
    summary = dict(run.summary)
    found = list(shown(summary)) if summary else []
    if run.protocol:
        measure = measure_of(run)
        deviation = summary.get(f"test/{measure.name}_std")
        if isinstance(deviation, float):
            found = [(label, f"{value}  (± {deviation:.4f})" if label == f"test {measure.name}" else value)
                     for label, value in found]  # fmt: skip
    found = [pair for pair in found if not re.search(r"random cell \d+$", pair[0])]
    found.sort(key=lambda pair: not pair[0].startswith("test"))  # the sort is stable
    for label, value in found[:MOST_HEADLINES]:
        number, _, remark = value.partition("  (")
        if label == "seconds":
            label, number = "time", duration(summary["seconds"])
        yield label, number, remark.removesuffix(")")


def _differences(config: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(setting, value, default) of all settings that differ; empty where the defaults cannot be composed."""
    if not config:
        return []
    try:
        defaults = dict(_defaults())
    except Exception:  # outside of a command there is nothing to compose from
        return []
    ours = {str(key): _plain(value) for key, value in flatten(dict(config)).items()}
    keys = [key for key in dict.fromkeys([*ours, *defaults]) if key.partition(".")[0] not in NOT_COMPARED]
    return [(key, ours.get(key, ""), defaults.get(key, "")) for key in keys if ours.get(key) != defaults.get(key)]


@lru_cache(maxsize=1)
def _defaults() -> tuple[tuple[str, Any], ...]:
    composed: Any = OmegaConf.to_container(compose(config_name="config"), resolve=True)
    return tuple((str(key), _plain(value)) for key, value in flatten(composed).items())


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else str(value)
