"""W&B's environment variables, as a user or a W&B agent sets them."""

from __future__ import annotations

from pathlib import Path

import pytest
import wandb
import yaml

from darts_pl.cli import main
from darts_pl.runs.loggers.settings import WandbSettings
from darts_pl.runs.loggers.weights_and_biases import Labels, WandbSink
from tests.offline_wandb import offline_runs
from tests.runs.conftest import SMALL

ROOT = Path(__file__).parents[2]
SWEEP_FILE = ROOT / "docs" / "wandb_sweep.yaml"

pytestmark = [
    pytest.mark.usefixtures("fresh_wandb"),
    # W&B does not close the agent's configuration file that it reads.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in.*config.yaml:pytest.PytestUnraisableExceptionWarning"),
]


def opened(folder: Path, labels: Labels, *, resume: bool = False):
    WandbSink(
        WandbSettings(mode=None, project="ours", entity="us", timeout=5.0), folder, {}, labels, resume=resume
    ).close(0)
    run = offline_runs(folder)[-1].run
    assert (folder / "wandb" / "id").read_text() == f"{run.run_id}\n"
    return run


LABELS = Labels("search digits", "folder", "search", ("cnn", "digits"))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"project": "ours", "entity": "us", "display_name": "search digits", "run_group": "folder"}),
        ({"WANDB_PROJECT": "p", "WANDB_ENTITY": "e"}, {"project": "p", "entity": "e"}),
        ({"WANDB_NAME": "n", "WANDB_RUN_GROUP": "g"}, {"display_name": "n", "run_group": "g"}),
        ({"WANDB_RUN_ID": "mine"}, {"run_id": "mine", "project": "ours"}),
        ({"WANDB_TAGS": "a, b"}, {"tags": ["a", "b", "cnn", "digits"]}),
    ],
)
def test_what_the_environment_says_wins(variables, expected, tmp_path, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    run = opened(tmp_path, LABELS)
    assert {name: list(run.tags) if name == "tags" else getattr(run, name) for name in expected} == expected


def agent(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The environment that ``wandb agent`` gives a job."""
    (folder / "config.yaml").write_text("wandb_version: 1\nseed:\n  value: 7\n")
    values = {"SWEEP_ID": "sweep1", "RUN_ID": "planned1", "PROJECT": "theirs", "ENTITY": "them"}
    for name, value in (values | {"SWEEP_PARAM_PATH": str(folder / "config.yaml")}).items():
        monkeypatch.setenv(f"WANDB_{name}", value)


@pytest.mark.parametrize("part", [None, "retrain", "random"])
def test_the_first_run_of_a_command_is_the_agents_and_each_other_part_is_a_run_of_its_own(part, tmp_path, monkeypatch):
    agent(monkeypatch, tmp_path)
    labels = Labels("n", "both", "retrain", (), part)
    run = opened(tmp_path, labels)
    assert (run.project, run.entity) == ("theirs", "them")
    assert run.run_id == ("planned1" if part is None else f"planned1-{part}")
    assert run.sweep_id == ("sweep1" if part is None else "")
    again = opened(tmp_path, labels, resume=True)
    assert again.run_id == run.run_id


def test_the_parts_of_a_search_with_retraining_are_three_runs_of_one_group_under_an_agent(tmp_path, monkeypatch):
    agent(monkeypatch, tmp_path)
    train = ["train.layers=3", "train.init_channels=4", "train.epochs=1", "train.cutout=0", "train.auxiliary_weight=0"]
    arguments = ["task=search_and_retrain", "search.epochs=1", *train, "logger=wandb"]
    assert main([*SMALL, *arguments, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    runs = offline_runs(tmp_path / "run")
    parts = ("search", "retrain", "random")
    ids = [(tmp_path / "run" / part / "wandb" / "id").read_text().strip() for part in parts]
    assert ids == ["planned1", "planned1-retrain", "planned1-random"] == [run.run.run_id for run in runs]
    assert [run.run.sweep_id for run in runs] == ["sweep1", "", ""]
    assert {run.run.run_group for run in runs} == {"run"}


def test_the_documented_sweep_gives_hydra_arguments_that_it_takes(tmp_path, capsys):
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args  # slow to import: not at collection

    sweep = yaml.safe_load(SWEEP_FILE.read_text())
    drawn = {
        name: {"value": range_["values"][-1] if "values" in range_ else (range_["min"] + range_["max"]) / 2}
        for name, range_ in sweep["parameters"].items()
    }
    assert all(isinstance(value["value"], (int, float)) for value in drawn.values())
    words: list[str] = []
    for word in sweep["command"]:
        words += (
            create_sweep_command_args({"args": drawn})["args_no_hyphens"] if word == "${args_no_hyphens}" else [word]
        )
    assert words[:3] == ["${env}", "${interpreter}", "${program}"]
    assert sweep["program"] == "run.py"
    assert main([*words[3:], "--cfg", "job"]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["search"]["alphas"]["lr"] == drawn["search.alphas.lr"]["value"]
    assert (config["seed"], config["task"]["name"], config["logger"]["wandb"]["project"]) == (2, "search", "darts_pl")
    assert sweep["metric"]["name"] == config["task"]["objective"]
    text = (ROOT / "docs" / "logging.md").read_text()
    assert "docs/wandb_sweep.yaml" in text
    assert "${args_no_hyphens}" in text
    assert wandb.run is None
