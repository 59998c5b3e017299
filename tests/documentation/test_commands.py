"""Every command of README and the documentation is one that the program takes."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from omegaconf import open_dict

from darts_pl import cli
from darts_pl.cli import config_folder
from darts_pl.config import parse_config
from darts_pl.genotype import KINDS
from darts_pl.ops import CANDIDATES
from darts_pl.strategies import STRATEGIES
from darts_pl.tasks import TASKS
from tests.documentation.pages import DOCS, EVERY_PAGE, PAGES, ROOT, blocks, commands, label, markdown
from tests.registrations import forgotten_after

EXAMPLES = DOCS / "examples"
REFERENCE = (DOCS / "configuration.md").read_text(encoding="utf-8")
KEYS = set(re.findall(r"^\| `([\w.]+)` \|", REFERENCE, flags=re.MULTILINE))
#: Keys of Hydra, of its plugins, and of the examples' own components.
OTHER_KEYS = re.compile(r"hydra\.|relaxation\.(hottest|scale)$|regulariser\.strength$|task\.since$")
OPTIONS_OF_ONE_WORD = {"-m", "--help", "--hydra-help"}
OPTIONS_OF_TWO_WORDS = {"--config-dir", "--cfg", "-p", "-sc"}


def overrides_of(arguments: list[str]) -> list[str]:
    """The arguments as Hydra gets them from the program, without options."""
    with cli._arguments(arguments):
        words, result = iter(sys.argv[1:]), []
    for word in words:
        if word in OPTIONS_OF_TWO_WORDS:
            next(words)
        elif word not in OPTIONS_OF_ONE_WORD:
            result.append(re.sub(r"^([\w/]+)=NAME$", _with_a_choice, word))
    return result


def _with_a_choice(found: re.Match[str]) -> str:
    """`group=NAME` of a page with the first of the group's choices."""
    known = sorted(choices(found[1]))
    return f"{found[1]}={known[0]}" if known else found[0]


def choices(key: str) -> set[str]:
    """The choices of a group of the program, of Hydra, or of the examples."""
    folders = [config_folder() / key, EXAMPLES / "conf" / key]
    return {path.stem for folder in folders for path in folder.glob("*.yaml")}


def jobs(parsed: list[Override]) -> Iterator[list[str]]:
    """The arguments of the jobs of a sweep: together they have every value of every choice."""
    sweeps = [one.value().list for one in parsed if isinstance(one.value(), ChoiceSweep)]
    for index in range(max(map(len, sweeps), default=1)):
        chosen = []
        for one in parsed:
            value = one.value()
            if isinstance(value, ChoiceSweep):
                chosen.append(
                    f"{one.key_or_group}={Override._get_value_element_as_str(value.list[index % len(value.list)])}"
                )
            elif not one.is_sweep_override():
                chosen.append(one.input_line or "")
        yield chosen


def test_pages_without_commands_are_few():
    assert sum(len(commands(page)) for page in PAGES) > 150
    assert len(commands(ROOT / "README.md")) >= 5


@pytest.mark.parametrize("page", EVERY_PAGE, ids=label)
def test_every_key_and_every_choice_of_a_command_is_in_the_reference(page: Path) -> None:
    parser = OverridesParser.create()
    for arguments in commands(page):
        for one in parser.parse_overrides(overrides_of(arguments)):
            key = one.key_or_group
            if choices(key):
                given = one.value().list if isinstance(one.value(), ChoiceSweep) else one.value()
                names = {str(name) for name in (given if isinstance(given, list) else [given])}
                assert names <= choices(key) or "hydra/" in key, f"{label(page)}: {one.input_line}"
            else:
                known = key in KEYS or OTHER_KEYS.match(key) or any(key.startswith(f"{name}.") for name in KEYS)
                assert known, f"{label(page)}: {one.input_line} in {' '.join(arguments)}"


@pytest.fixture
def examples_importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The modules of the examples, and those that pages hold as a whole. What they register lasts for one test."""
    for page in PAGES:
        for block in blocks(page, "python"):
            if (named := re.match(r'"""(\w+\.py):', block)) is not None:
                (tmp_path / named[1]).write_text(block)
    for folder in (EXAMPLES, tmp_path):
        monkeypatch.syspath_prepend(str(folder))
    own = {path.stem for folder in (EXAMPLES, tmp_path) for path in folder.glob("*.py")}
    with forgotten_after(monkeypatch, (KINDS, CANDIDATES, STRATEGIES), lambda name: name in own):
        yield


def check_composes(page: Path) -> None:
    search_path = f"hydra.searchpath=[file://{EXAMPLES / 'conf'}]"
    done = set()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        for arguments in commands(page):
            for job in jobs(OverridesParser.create().parse_overrides(overrides_of(arguments))):
                if tuple(job) in done or any(word in arguments for word in ("--help", "--hydra-help", "-sc")):
                    continue
                done.add(tuple(job))
                composed = compose("config", [*job, search_path], return_hydra_config=True)
                for module in composed.imports:
                    if importlib.util.find_spec(module) is not None:
                        importlib.import_module(module)
                with open_dict(composed):
                    del composed["hydra"]
                assert parse_config(composed).task.name in TASKS, arguments


def test_every_command_of_the_readme_composes(examples_importable: None) -> None:
    check_composes(ROOT / "README.md")


@pytest.mark.slow
@pytest.mark.parametrize("page", EVERY_PAGE[1:], ids=label)
def test_every_command_of_the_documentation_composes(page: Path, examples_importable: None) -> None:
    check_composes(page)


@pytest.mark.parametrize("page", EVERY_PAGE, ids=label)
def test_every_make_target_extra_and_program_that_a_page_names_is_there(page: Path) -> None:
    text = markdown(page)
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE)) <= targets
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for names in re.findall(r"(?:\.|darts-pl)\[([a-z,]+)\]['\"]", text):
        assert set(names.split(",")) <= set(extras), names
    for program in re.findall(r"python ((?:benchmarks|docs)/[\w/]+\.py)", text):
        assert (ROOT / program).is_file(), program
    for module in re.findall(r"python -m (benchmarks[\w.]*|darts_pl[\w.]*)", text):
        assert importlib.util.find_spec(module.rstrip(".")) is not None, module
