"""What docs/sweeps.md names is there."""

import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from darts_pl.cli import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "sweeps.md").read_text()
COMMANDS = re.findall(r"^ *python run.py ((?:\\\n|[^#\n])*)", TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("choice", sorted(set(re.findall(r"hydra/(?:launcher|sweeper)=[a-z_]+", TEXT))))
def test_every_launcher_and_sweeper_is_known(choice, capsys):
    group = choice.partition("=")[0]
    assert main([choice, "--cfg", "hydra", "-p", group.replace("/", ".")]) == 0
    assert "_target_:" in capsys.readouterr().out


def test_a_job_on_slurm_has_a_day_and_a_gpu(capsys):
    assert main(["hydra/launcher=slurm", "--cfg", "hydra", "-p", "hydra.launcher"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"timeout_min: 1440", "gpus_per_node: 1", "tasks_per_node: 1", "partition: null"} <= set(lines)


def test_every_command_can_be_parsed():
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        words = [word.strip("'") for word in command.replace("\\\n", " ").split() if word != "-m"]
        words = [re.sub(r"<\w+>_<\w+>", "date", word).replace("$seed", "0") for word in words]
        assert len(OverridesParser.create().parse_overrides(words)) == len(words), command


def test_every_file_is_there():
    for path in re.findall(r"`(conf/[\w./]+)`", TEXT):
        assert (ROOT / path).exists(), path
