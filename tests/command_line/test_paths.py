"""Paths on the command line: the home folder, names that need quotes, names that look like numbers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from darts_pl.cli import main
from darts_pl.command_line import expand_paths, prepared
from darts_pl.quoting import assignment, quoted_assignment
from tests.sweeps.conftest import put_in_place_of_tasks
from tests.tiny_sweep import TINY, write_images

NAMES = [
    "two words", "a=b", "a(b", "a[b]", "ä", "日本.npz", "it's", 'say "so"', "a,b", "back\\slash", "end\\", "x'\"y",
    "semi;colon", "hash#", "{a}", "a(b=c, 'd').npz",
]  # fmt: skip


def read_by_shell_and_hydra(text: str) -> object:
    """The value that Hydra gets from a text typed into a shell."""
    (word,) = shlex.split(text)
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize("name", NAMES)
def test_the_quoted_form_survives_the_shell_and_hydra(name):
    assert read_by_shell_and_hydra(quoted_assignment("data.path", name)) == name
    assert read_by_shell_and_hydra(assignment("data.path", name)) == name


@pytest.mark.parametrize("key", ["data.path", "genotype", "run", "checkpoint", "hydra.run.dir"])
@pytest.mark.parametrize("name", ["a(b", "a=b", "ä", "a[b", "a,b"])
def test_the_message_for_a_name_that_hydra_cannot_read_has_a_form_to_paste(key, name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["data=npz", f"{key}={name}"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert error.startswith(f"error: {key}={name} ")
    assert read_by_shell_and_hydra(error.partition(": write ")[2].strip()) == name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["two words", "a=b (c)", "ä[1].npz", "2024_01"])
def test_the_printed_form_reads_the_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = put_in_place_of_tasks(monkeypatch, lambda context: {})
    write_images(tmp_path / "x.npz").rename(tmp_path / name)
    words = shlex.split(f"{' '.join(TINY)} {quoted_assignment('data.path', name)}")
    assert main([*words, "hydra.run.dir=run"]) == 0
    assert calls[0].config.data.path == name


@pytest.mark.parametrize(
    ("key", "name"),
    [
        *(("data.path", name) for name in ("2024_01", "1e3", "true", "007", "1.50")),
        ("run", "2024_01"),
        ("checkpoint", "1e3"),
    ],
)
def test_a_name_that_looks_like_a_number_stays_a_name(key, name, tmp_path, monkeypatch):
    calls = put_in_place_of_tasks(monkeypatch, lambda context: {})
    assert main(["data=npz", "data.path=x", f"{key}={name}", f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    config = calls[0].config
    assert {"data.path": config.data.path, "run": config.run, "checkpoint": config.checkpoint}[key] == name


def test_a_tilde_is_the_home_folder_in_every_path_key(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for key in ("data.path", "genotype", "run", "runs", "resume", "checkpoint", "hydra.run.dir", "hydra.sweep.dir"):
        assert prepared([f"{key}=~/x"]) == [f"{key}={tmp_path}/x"]
        assert prepared([f"++{key}=~"]) == [f"++{key}={tmp_path}"]
    assert prepared(["runs=[~/a,b/~c,~/d]"]) == [f"runs=[{tmp_path}/a,b/~c,{tmp_path}/d]"]
    assert prepared(["data.path=~/a,~/b", "-m"]) == ["-m", f"data.path={tmp_path}/a,{tmp_path}/b"]
    assert prepared(["search.layers=3", "~seed"]) == ["search.layers=3", "~seed"]
    assert prepared(["--config-dir=~/c"]) == [f"--config-dir={tmp_path}/c"]


def test_a_tilde_in_a_composed_configuration_is_the_home_folder_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    values = {"data": {"path": "~/y"}, "genotype": None, "runs": ["~/a", "b"], "run": "~no_such_user/x"}
    config = OmegaConf.create(values)
    home = str(tmp_path)
    for _ in range(2):
        expand_paths(config)
        assert config == values | {"data": {"path": f"{home}/y"}, "runs": [f"{home}/a", "b"]}


@pytest.mark.parametrize("quote", ["", "'"])
def test_data_and_run_folder_below_the_home_folder_are_found(quote, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    calls = put_in_place_of_tasks(monkeypatch, lambda context: {})
    assert main([*TINY, f"data.path={quote}~/images.npz{quote}", f"hydra.run.dir={quote}~/run{quote}"]) == 0
    assert calls[0].config.data.path == str(tmp_path / "images.npz")
    assert (tmp_path / "run" / "summary.json").is_file()
    assert main(["-m", *TINY, "data.path=none", "seed=1", f"hydra.sweep.dir={quote}~/sweep{quote}"]) == 0
    assert (tmp_path / "sweep" / "data-npz").parent.is_dir()
    assert not Path("~").exists()


CELL = [["sep_conv_3x3", 0], ["skip_connect", 1]]
FIELDS = {"normal": CELL, "normal_concat": [2], "reduce": CELL, "reduce_concat": [2]}
CALL = f"Genotype({', '.join(f'{name}={value}' for name, value in FIELDS.items())})"


CELL_TEXT = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"


TEXTS = (
    CELL_TEXT, f" {CELL_TEXT} ", f"epoch 3, loss = 0.1\ngenotype: {CELL_TEXT}\n", f"`{CELL_TEXT}`",
    CALL, f"genotypes.{CALL}", f"MINE = {CALL}", f"epoch 3, loss = 0.1\ngenotype = {CALL}\n", str(FIELDS),
    json.dumps(FIELDS),
)  # fmt: skip
QUOTED = [
    pytest.param(quote, text, marks=() if quote == "'" or text == CELL_TEXT else pytest.mark.slow)
    for quote in ("", "'", '"')
    for text in TEXTS
]


@pytest.mark.parametrize(("quote", "text"), QUOTED)
def test_the_text_of_a_genotype_is_read_with_any_quotes_around_it(quote, text, tmp_path, monkeypatch):
    calls = put_in_place_of_tasks(monkeypatch, lambda context: {})
    arguments = ["task=retrain", f"genotype={quote}{text}{quote}", f"hydra.run.dir={tmp_path / 'run'}"]
    assert main(arguments) == 0
    assert calls[0].config.genotype.strip() == text.strip()


def test_several_texts_of_genotypes_are_values_of_a_sweep():
    argument = f"genotype='{json.dumps(FIELDS)}','{json.dumps(FIELDS)}'"
    assert prepared([argument, "-m"]) == ["-m", argument]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [(["hydra.run.dir="], "hydra.run.dir"), (["hydra.run.dir=' '"], "hydra.run.dir"), (["resume="], "resume"),
     (["-m", "seed=0,1", "hydra.sweep.dir="], "hydra.sweep.dir")],
)  # fmt: skip
def test_a_folder_without_a_name_is_refused(arguments, key, tmp_path, capsys, monkeypatch):
    """A shell's variable that is not set leaves nothing; the current folder must not become the run's."""
    monkeypatch.chdir(tmp_path)
    assert main(["task=zoo", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {key} is empty; give {key}=FOLDER, or leave it out\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["genotype", "run", "runs", "checkpoint", "input"])
def test_a_name_that_is_empty_is_refused_and_does_not_stand_for_the_current_folder(key, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["task=derive", f"{key}=", "hydra.run.dir=made"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {key}=: must be a ")
    assert not (tmp_path / "made").exists()
