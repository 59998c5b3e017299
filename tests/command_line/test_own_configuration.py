"""A user's own configuration files: `--config-dir`, and defaults of one machine that are not committed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from darts_pl import cli
from darts_pl.cli import main
from darts_pl.command_line import config_folder

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "configuring.md").read_text()
EXPERIMENT, LOCAL = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)


def composed(capsys, *arguments: str):
    assert main([*arguments, "--cfg", "job"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


@pytest.fixture
def own(tmp_path):
    for name, text in (("experiment/mine.yaml", EXPERIMENT), ("local/default.yaml", LOCAL)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("option", ["--config-dir={}", "-cd={}"])
def test_the_documented_experiment_is_found_in_an_own_folder(option, own, capsys):
    config = composed(capsys, option.format(own), "experiment=mine")
    assert (config["data"]["name"], config["order"]["name"]) == ("npz", "first")
    assert (config["search"]["layers"], config["search"]["epochs"]) == (5, 20)


@pytest.mark.parametrize(
    ("argument", "threads"), [("seed=0", 8), ("experiment=quickstart", 8), ("hardware.threads=3", 3)]
)
def test_local_defaults_win_over_an_experiment_and_the_command_line_over_them(argument, threads, own, capsys):
    assert composed(capsys, f"--config-dir={own}", argument)["hardware"]["threads"] == threads


def test_local_defaults_in_conf_are_read_and_git_ignores_them(tmp_path, capsys, monkeypatch):
    conf = Path(shutil.copytree(config_folder(), tmp_path / "conf"))
    monkeypatch.setattr(cli, "config_folder", lambda: conf)
    before = composed(capsys)
    assert before["logger"]["every_n_steps"] == 50
    (conf / "local").mkdir(exist_ok=True)
    (conf / "local" / "default.yaml").write_text(LOCAL)
    after = composed(capsys)
    assert (after["hardware"]["threads"], after["logger"]["every_n_steps"]) == (8, 200)
    ignored = subprocess.run(["git", "check-ignore", "conf/local/default.yaml"], cwd=ROOT, check=False)
    assert ignored.returncode in (0, 128)  # 128: not a checkout


def test_the_documentation_names_every_file_that_overwriting_deletes():
    from darts_pl.records import contents

    for name in (
        *contents.FILES,
        *contents.FOLDERS,
        *contents.PARTS,
        *contents.CHECKPOINTS[:2],
        contents.SAMPLES,
        *contents.STAGES,
        contents.HYDRA,
    ):
        assert name in TEXT, name
