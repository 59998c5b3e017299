"""docs/tutorial_photos.md: its commands do with 60 photos what the page says, within its time."""

import csv
import json
import re
import resource
import shlex
import time
from pathlib import Path

import pytest

import darts_pl
from darts_pl.cli import main
from tests.data.sixty_photos import CLASSES, DAMAGED, write_sixty_photos

TEXT = (Path(__file__).parents[1] / "docs" / "tutorial_photos.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"^python run.py (.*)$", TEXT, flags=re.MULTILINE)]
#: Seconds of one core: ten minutes on two cores are twice that.
LIMIT = 600


def test_every_command_has_at_most_three_settings():
    assert COMMANDS
    assert max(map(len, COMMANDS)) <= 3


def test_the_page_names_the_folders_of_the_photos_that_the_test_makes():
    assert all(name in TEXT for name in (*CLASSES, Path(DAMAGED).name))


def seconds_of_a_core():
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


@pytest.mark.slow
def test_the_commands_find_a_network_that_answers_within_the_time(tmp_path, monkeypatch, capsys):
    write_sixty_photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    before = seconds_of_a_core()
    assert [command[0] for command in COMMANDS[2:]] == ["task=predict", "task=export"]
    for command in COMMANDS:
        assert main(command) == 0
    assert seconds_of_a_core() - before < LIMIT
    printed = capsys.readouterr()
    shown = printed.out + printed.err
    (first_lines,) = re.findall(r"^```\n(preset=.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    for line in first_lines.splitlines():
        assert line in shown.splitlines()
    summary = json.loads((tmp_path / "trained" / "summary.json").read_text())
    assert summary["test/images"] == 12
    assert summary["test/accuracy"] > 1 / 3  # of three classes
    answers = answers_of(tmp_path)
    assert DAMAGED not in answers
    assert len(answers) == 59
    right = sum(name.startswith(f"{answer['class']}/") for name, answer in answers.items())
    assert right > 59 / 3
    (network,) = tmp_path.rglob("network")
    loaded = darts_pl.load(network)
    for name in list(answers)[::20]:
        found = loaded.predict(tmp_path / "photos" / name)
        assert (found.name, found.probability) == (
            answers[name]["class"],
            pytest.approx(float(answers[name]["probability"]), abs=1e-5),
        )


def answers_of(folder):
    """By photo the line of the only table of answers below `folder`."""
    (table,) = folder.rglob("predictions.csv")
    with table.open(encoding="utf-8", newline="") as file:
        return {row["input"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_the_notebook_lines_search_and_train(tmp_path, monkeypatch, capsys):
    write_sixty_photos(tmp_path / "photos", side=80)
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    short = block.replace('folder="found"', '"search.epochs=2", folder="found"')
    short = short.replace('folder="trained"', '"train.epochs=2", folder="trained"')
    exec(compile(short, "tutorial_photos.md", "exec"), {})
    assert "Genotype(normal=" in capsys.readouterr().out
