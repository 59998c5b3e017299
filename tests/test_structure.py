"""The house keeps its plan: who may import whom, how long a file is, what it may be called."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "darts_pl"
FILES = sorted(PACKAGE.rglob("*.py"))

#: From the ground up. A file imports from lower floors and from its own room (a folder or a single file).
FLOORS = (
    {"errors", "atomic", "interruption", "launcher_environment"},
    {"registry", "settings"},
    {"config", "genotype", "zoo", "ops"},
    {"records"},
    {"spaces"},
    {"bilevel", "interop", "report", "latency"},
    {"selection"},
    {"methods", "strategies"},
    {"data", "modules", "callbacks"},
    {"inference"},
    {"export"},
    {"quoting"},
    {"runs", "run_folder"},
    {"problems"},
    {"plugins"},
    {"tasks"},
    {"sweeps"},
    {"command_line"},
    {"cli", "notebook"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

#: (importer, imported) on one floor: published genotypes are genotypes, and a run's folder holds one.
NEIGHBOURS = {("zoo", "genotype"), ("records", "genotype")}

#: Everything below this floor is plain PyTorch, for a notebook to use alone.
FIRST_WITH_FRAMEWORKS = FLOOR_OF["data"]
FRAMEWORKS = {"pytorch_lightning", "lightning", "hydra", "wandb"}

VAGUE = {"util", "utils", "helper", "helpers", "misc", "common"}


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room_of(path: Path) -> str:
    """The first folder or file name inside the package; "" for the package's own `__init__`."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything that a file imports, wherever in it."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            yield from ((node.lineno, ".".join([*base, name.name])) for name in node.names)


def rooms_imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, room) of every import from the package; what the package itself defines is nobody's room."""
    rooms = {room_of(file) for file in FILES}
    for line, name in imports(path):
        top, _, rest = name.partition(".")
        room = rest.partition(".")[0]
        if top == PACKAGE.name and room in rooms:
            yield line, room


def test_every_room_has_a_floor():
    assert {room_of(path) for path in FILES} - {""} <= FLOOR_OF.keys()


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_file_imports_only_from_lower_floors_or_its_own_room(path):
    room = room_of(path)
    floor = FLOOR_OF[room] if room else len(FLOORS)  # its names are loaded when they are first used; see test_readme
    wrong = [
        f"line {line}: {imported}"
        for line, imported in rooms_imported(path)
        if imported != room and FLOOR_OF[imported] >= floor and (room, imported) not in NEIGHBOURS
    ]
    assert not wrong, f"{label(path)} imports from its own floor or a higher one: {', '.join(wrong)}"


@pytest.mark.parametrize("path", FILES, ids=label)
def test_frameworks_appear_from_the_data_floor_up(path):
    if FLOOR_OF.get(room_of(path), 0) < FIRST_WITH_FRAMEWORKS:
        found = [f"line {line}: {name}" for line, name in imports(path) if name.partition(".")[0] in FRAMEWORKS]
        assert not found, f"{label(path)}: {', '.join(found)}"


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "benchmarks").glob("*.py")), ROOT / "run.py"], ids=label)
def test_a_file_is_short_enough_to_be_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_names_say_what_is_inside():
    inside = [path for folder in ("darts_pl", "benchmarks", "tests", "conf") for path in (ROOT / folder).rglob("*")]
    assert [label(path) for path in inside if path.stem.lower() in VAGUE] == []


def test_no_room_of_runs_has_more_than_twelve_files_at_one_level():
    folders = {path.parent for path in FILES if room_of(path) in ("callbacks", "records", "runs", "sweeps")}
    counts = {label(folder): len([p for p in folder.glob("*.py") if p.stem != "__init__"]) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > 12} == {}


def test_the_records_of_a_run_are_read_without_torch_lightning_or_hydra():
    program = "import sys, darts_pl.records; print({'torch', 'pytorch_lightning', 'hydra'} & {*sys.modules})"
    shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"
