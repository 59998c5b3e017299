"""docs/nasbench201.md: every command composes, its Python runs, and what it names is there."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from darts_pl.cli import config_folder
from darts_pl.config import parse_config
from darts_pl.tasks import TASKS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "nasbench201.md").read_text()
COMMANDS = [line.partition(" #")[0].split() for line in re.findall(r"^python run.py (.*)$", TEXT, flags=re.MULTILINE)]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_composes(words):
    overrides = [word for word in words if word != "-m" and not word.startswith("hydra.")]
    overrides = [re.sub(r"^'(genotype)=(.*)'$", r"\1='\2'", word) for word in overrides]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = parse_config(compose("config", overrides=overrides))
    assert config.task.name in TASKS


def test_there_are_commands_for_every_experiment_of_the_space():
    experiments = {path.stem for path in (config_folder() / "experiment").glob("*nasbench201*.yaml")}
    assert experiments == {word.partition("=")[2] for words in COMMANDS for word in words if "experiment=" in word}


def test_its_python_prints_the_number_the_accuracy_and_the_rank(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(compile(block, "nasbench201.md", "exec"), {})
    assert capsys.readouterr().out.split() == ["11472", "93.91", "68"]


def test_every_file_that_it_names_is_there():
    linked = [f"docs/{name}" for name in re.findall(r"\]\((\w+\.md)\)", TEXT)]
    for path in [*re.findall(r"`(darts_pl/[\w./]+)`", TEXT), *linked]:
        assert (ROOT / path).is_file(), path
