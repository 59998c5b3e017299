"""What W&B is given, read back from its offline files."""

from __future__ import annotations

import csv
import json
import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
from omegaconf import OmegaConf
from PIL import Image
from pytorch_lightning.callbacks import Callback

from darts_pl.callbacks import ArchitecturePictures, Throughput
from darts_pl.cli import main
from darts_pl.genotype import parse
from darts_pl.runs.loggers.settings import WandbSettings
from darts_pl.runs.loggers.weights_and_biases import Labels, WandbSink
from tests.offline_wandb import OfflineRun, offline_runs
from tests.runs.conftest import SMALL

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, search: Callable[..., int]) -> Path:
    """Of a finished second-order search."""
    path = tmp_path_factory.mktemp("search")
    arguments = ("order=second", "seed=3", "logger=wandb", "logger.alphas=true", "logger.every_n_steps=2")
    arguments += ("perturbation=random", "observers=[curvature]")  # which log names of their own
    assert search(path, *arguments) == 0
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> OfflineRun:
    (only,) = offline_runs(folder)
    return only


@pytest.fixture(scope="module")
def table(folder: Path) -> list[dict[str, float]]:
    """The rows of `metrics.csv`."""
    with (folder / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_the_configuration_is_uploaded_as_hydra_resolves_it(folder: Path, run: OfflineRun) -> None:
    resolved = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "config.yaml"), resolve=True)
    assert isinstance(resolved, dict)
    assert {name: run.config[name] for name in resolved} == resolved
    assert run.config["search"]["stem"] == "cifar"  # an interpolation in the file


def test_name_type_and_tags_say_what_the_run_is(run: OfflineRun) -> None:
    assert (run.run.project, run.run.job_type) == ("darts_pl", "search")
    assert list(run.run.tags) == ["cnn", "second", "digits"]
    assert run.run.display_name == "search cnn second digits seed=3"


def test_every_metric_of_the_table_is_logged_at_its_epochs_last_batch(
    run: OfflineRun, table: list[dict[str, float]]
) -> None:
    assert len(table) == 2
    names = [name for name in table[0] if "/" in name]
    wanted = {"loss", "accuracy"}
    assert {f"search/{half}_{name}" for half in ("train", "valid") for name in wanted} <= set(names)
    wanted = {"lr", "lr_alphas", "entropy_normal", "entropy_reduce", "skip_connections", "second_to_first"}
    assert {f"search/{name}" for name in wanted} <= set(names)
    for name in names:
        assert run.values(name) == {int(row["batches"]) - 1: pytest.approx(row[name], rel=1e-6) for row in table}


def test_the_training_loss_is_logged_within_an_epoch_too(run: OfflineRun, table: list[dict[str, float]]) -> None:
    losses = run.values("loss")
    assert list(losses) == [1, 3, 5, 7, 9, 11]
    for epoch, row in enumerate(table):  # every second batch of six, so near their mean and not equal
        near = [loss for step, loss in losses.items() if step // 6 == epoch]
        assert np.mean(near) == pytest.approx(row["search/train_loss"], rel=0.1)


def test_throughput_and_memory_are_those_of_the_run(run: OfflineRun, table: list[dict[str, float]]) -> None:
    half = 721  # images in the train half of the 1442 digits that are not kept for the test
    for row, rate in zip(table, run.values("samples_per_second").values(), strict=True):
        assert 0.99 * half < rate * row["seconds"] < 10 * half  # the epoch's time holds its validation too
    status = Path("/proc/self/status")
    if status.exists():
        (high,) = [int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        peaks = list(run.values("peak_memory_mb").values())
        assert peaks == sorted(peaks)
        assert 0.5 * high * 1024 / 1e6 < peaks[-1] <= 1.01 * high * 1024 / 1e6


def test_every_alpha_is_logged_by_name_where_asked_for(folder: Path, run: OfflineRun) -> None:
    with np.load(folder / "alphas.npz") as alphas:
        for cell_type in ("normal", "reduce"):
            for edge in range(2):
                for column, candidate in enumerate(("none", "skip_connect", "max_pool_3x3")):
                    values = run.values(f"alpha/{cell_type}/edge_{edge:02}/{candidate}")
                    assert list(values) == [5, 11]
                    assert list(values.values()) == pytest.approx(
                        alphas[cell_type][1:, edge, column].tolist(), rel=1e-6
                    )


@pytest.mark.parametrize("name", ["search/mixing_weights", "search/cells"])
def test_each_epoch_has_its_pictures(run: OfflineRun, name: str) -> None:
    files = run.values(f"{name}.filenames")
    assert list(files) == [5, 11]
    for (file,) in files.values():
        with Image.open(run.file(file)) as image:
            assert image.format == "PNG"
            assert image.width > 400
            assert len(image.convert("RGB").getcolors(1 << 24) or []) > 20  # something is drawn


def test_each_epoch_has_a_table_of_the_genotypes_so_far(folder: Path, run: OfflineRun) -> None:
    texts = (folder / "genotypes.jsonl").read_text().splitlines()
    files = run.values("search/genotypes.path")
    assert list(files) == [5, 11]
    for file, rows in zip(files.values(), (2, 3), strict=True):
        table = json.loads(run.file(file).read_text())
        assert table["columns"] == ["epochs", "genotype"]
        assert table["data"] == [[epoch, str(parse(text))] for epoch, text in enumerate(texts[:rows])]


def test_the_names_in_the_documentation_are_those_that_are_logged(run: OfflineRun) -> None:
    named = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "logging.md").read_text(), flags=re.MULTILINE)
    names = {name for cell in named for name in re.findall(r"`([\w/]+)`", cell) if not name.startswith("alpha/")}
    logged = {key.removesuffix(".filenames").removesuffix(".path") for row in run.history for key in row}
    assert len(names) > 12
    assert names <= logged


def test_a_finished_run_ends_with_its_summary_and_exit_code_0(folder: Path, run: OfflineRun) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    assert summary.items() <= run.summary.items()
    assert run.exit_code == 0
    assert wandb.run is None


def crash() -> None:
    raise RuntimeError("broken")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("callback", "hook", "epoch", "stop", "status"),
    [
        (Throughput, "on_train_epoch_start", 1, crash, 1),
        (ArchitecturePictures, "on_train_epoch_end", 0, terminate, 143),  # before Lightning logs the epoch
    ],
)
def test_a_stopped_run_shows_its_exit_status_and_goes_on_as_the_same_wandb_run(
    callback: type[Callback],
    hook: str,
    epoch: int,
    stop: Callable[[], None],
    status: int,
    tmp_path: Path,
    search: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = getattr(callback, hook)

    def stopping(self: Callback, trainer: Any, module: Any) -> None:
        if trainer.current_epoch == epoch:
            stop()
        usual(self, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(callback, hook, stopping)
        assert search(tmp_path, "logger=wandb") == status
    assert search(tmp_path, "logger=wandb", "resume=true") == 0
    stopped, continued = offline_runs(tmp_path)
    assert (stopped.exit_code, continued.exit_code) == (status, 0)
    assert stopped.run.run_id == continued.run.run_id
    assert stopped.folder != continued.folder
    assert (list(stopped.values("search/train_loss")), list(continued.values("search/train_loss"))) == ([5], [11])


def test_jobs_of_a_sweep_share_a_group_and_one_that_fails_leaves_the_next_its_own_run(tmp_path: Path) -> None:
    sweep = tmp_path / "learning_rates"
    jobs = ["search.weights.lr=1e9,0.025", f"hydra.sweep.dir={sweep}"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics warns of the values that are not finite
        assert main(["-m", *SMALL, "search.epochs=1", "logger=wandb", *jobs]) != 0
    failed, finished = offline_runs(sweep)
    assert (failed.exit_code, finished.exit_code) == (2, 0)
    assert failed.run.run_group == finished.run.run_group == "learning_rates"
    assert failed.run.run_id != finished.run.run_id
    assert [run.config["search"]["weights"]["lr"] for run in (failed, finished)] == [1e9, 0.025]
    assert all(run.run.display_name.startswith("search ") for run in (failed, finished))
    assert failed.run.display_name != finished.run.display_name


def test_a_search_and_its_retraining_are_runs_of_one_group(tmp_path: Path) -> None:
    train = ["train.layers=3", "train.init_channels=4", "train.epochs=1", "train.cutout=0", "train.auxiliary_weight=0"]
    task = ["task=search_and_retrain", "task.compare_random=false", "search.epochs=1"]
    assert main([*SMALL, *task, *train, "logger=wandb", f"hydra.run.dir={tmp_path / 'both'}"]) == 0
    searched, trained = offline_runs(tmp_path)
    assert [run.run.job_type for run in (searched, trained)] == ["search", "retrain"]
    assert [run.run.run_group for run in (searched, trained)] == ["both", "both"]
    assert [run.exit_code for run in (searched, trained)] == [0, 0]
    assert list(trained.run.tags) == ["classifier", "digits"]
    summary = json.loads((tmp_path / "both" / "retrain" / "summary.json").read_text())
    assert trained.summary["test/accuracy"] == pytest.approx(summary["test/accuracy"])
    assert {"retrain/train_loss", "retrain/train_accuracy", "retrain/lr"} <= trained.summary.keys()


def test_the_table_of_several_runs_is_a_run_in_the_group_of_their_folder(folder: Path, tmp_path: Path) -> None:
    arguments = ["task=collect", f"runs={folder}", "logger=wandb", f"hydra.run.dir={tmp_path}"]
    assert main(arguments) == 0
    (only,) = offline_runs(tmp_path)
    assert (only.run.run_group, only.run.job_type, only.exit_code) == (folder.name, "collect", 0)
    (path,) = only.values("collect/runs.path").values()
    written = json.loads(only.file(path).read_text())
    with (tmp_path / "runs.csv").open() as file:
        (row,) = csv.DictReader(file)
    found = dict(zip(written["columns"], written["data"][0], strict=True))
    assert found.keys() == row.keys()
    assert found["search/valid_accuracy"] == float(row["search/valid_accuracy"])
    assert found["genotype"] == row["genotype"] == str(parse(row["genotype"]))


@pytest.mark.parametrize(
    ("environment", "configured", "logged_in", "mode"),
    [
        (None, None, False, "offline"),
        (None, None, True, "online"),
        (None, "offline", True, "offline"),
        (None, "online", True, "online"),
        (None, "online", False, "offline"),
        ("offline", "online", True, "offline"),
        ("disabled", "online", True, "disabled"),
        ("online", "offline", True, "online"),
    ],
)
def test_the_environment_decides_then_the_configuration_then_whether_somebody_is_logged_in(
    environment: str | None,
    configured: str | None,
    logged_in: bool,
    mode: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    disabled = wandb.init(mode="disabled")

    def init(**arguments: Any) -> Any:
        asked.append(arguments["mode"])
        return disabled

    def login(*, prompt: bool, verify: bool) -> bool:
        assert not prompt
        assert not verify
        return logged_in

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(wandb, "login", login)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if environment is not None:
        monkeypatch.setenv("WANDB_MODE", environment)
    labels = Labels("n", None, "search", ())
    settings = WandbSettings(mode=configured, project="p", entity=None, timeout=5.0)
    WandbSink(settings, tmp_path, {}, labels, resume=False).close(0)
    assert asked == [mode]


@pytest.mark.parametrize("mode", ["on-line", "OFFLINE", "x" * 10_000])
def test_a_mode_that_wandb_does_not_have_is_refused_in_one_line_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    command = ["experiment=debug", "logger=wandb", "data=digits", "train.cutout=0", "search.layers=3"]
    assert main([*command, f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    shown = capsys.readouterr()
    lines = shown.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: WANDB_MODE={mode[:40]}: must be one of online, offline, disabled")
    assert "train loss" not in shown.out


@pytest.mark.usefixtures("fresh_wandb")
def test_a_server_that_cannot_be_reached_leaves_an_offline_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    with caplog.at_level(logging.WARNING):
        sink = WandbSink(
            WandbSettings(mode=None, project="p", entity=None, timeout=1.0),
            tmp_path,
            {"a": 1},
            Labels("n", None, "search", ()),
            resume=False,
        )
    sink.log_metrics({"x/y": 1.5}, 7)
    sink.close(0)
    (run,) = offline_runs(tmp_path)
    assert run.values("x/y") == {7: 1.5}
    assert run.run.run_id == (tmp_path / "wandb" / "id").read_text().strip()
    (message,) = [record.getMessage() for record in caplog.records if record.name.startswith("darts_pl")]
    assert "kept offline" in message
    assert "wandb sync" in message


@pytest.mark.slow
def test_two_processes_of_one_search_are_one_wandb_run_of_rank_zero(tmp_path: Path) -> None:
    command = [sys.executable, "run.py", *SMALL, "hardware=ddp_cpu", "search.epochs=1", "logger=wandb"]
    subprocess.run([*command, f"hydra.run.dir={tmp_path}"], cwd=ROOT, check=True, timeout=300)
    (run,) = offline_runs(tmp_path)
    assert run.exit_code == 0
    with (tmp_path / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert run.values("search/train_loss") == {int(row["batches"]) - 1: pytest.approx(float(row["search/train_loss"]))}
    assert run.summary["search/valid_accuracy"] == pytest.approx(float(row["search/valid_accuracy"]))
