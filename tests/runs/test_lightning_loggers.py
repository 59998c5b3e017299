"""MLflow and Comet, with stand-ins for Lightning's loggers: what they are given, and what a missing package says."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytorch_lightning.loggers


class Recorded:
    """Stands for a logger of Lightning and for the client inside it: keeps every call."""

    made: ClassVar[list[Recorded]] = []  # emptied by the fixture

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.run_id = arguments.get("run_id") or "run7"
        Recorded.made.append(self)

    @property
    def experiment(self) -> Recorded:
        return self

    def get_key(self) -> str:
        return self.arguments.get("experiment_key") or "key7"

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given, **named: self.calls.append((name, given, named))

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [given for called, given, _ in self.calls if called == name]


@pytest.fixture
def installed(monkeypatch):
    """As if MLflow and Comet were installed."""
    find = importlib.util.find_spec
    there = find("json")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: there if name in ("mlflow", "comet_ml") else find(name)
    )
    monkeypatch.setattr(pytorch_lightning.loggers, "MLFlowLogger", Recorded)
    monkeypatch.setattr(pytorch_lightning.loggers, "CometLogger", Recorded)
    for name in ("MLFLOW_TRACKING_URI", "COMET_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    Recorded.made = []


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "key"), [("mlflow", "run_id"), ("comet", "experiment_key")])
def test_each_epoch_of_the_table_and_the_summary_are_given_and_a_resumed_run_continues_the_one_of_its_id(
    name: str, key: str, tmp_path: Path, search: Callable[..., int]
) -> None:
    assert search(tmp_path / "run", f"logger={name}") == 0
    (logger,) = Recorded.made
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    losses = [
        (step[0], metrics["search/valid_loss"])
        for metrics, *step in logger.named("log_metrics")
        if step and "search/valid_loss" in metrics
    ]
    assert losses == [
        (int(row["batches"]) - 1, pytest.approx(float(row["search/valid_loss"]), rel=1e-6)) for row in rows
    ]
    (parameters,) = [given[0] for given in logger.named("log_hyperparams")]
    assert parameters["search"]["init_channels"] == 2
    assert len(logger.named("log_image")) == 4  # mixing weights and cells, two epochs
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    if name == "mlflow":
        assert logger.arguments["tracking_uri"] == f"sqlite:///{tmp_path / 'run' / 'mlflow'}/mlflow.db"
        assert logger.named("finalize") == [("success",)]
        assert logger.named("log_metrics")[-1][0]["search/valid_loss"] == summary["search/valid_loss"]
    else:
        assert logger.arguments["online"] is False
        assert logger.arguments["offline_directory"] == str(tmp_path / "run" / "comet")
        assert logger.named("log_others") == [(summary,)]
    assert search(tmp_path / "run", f"logger={name}", "resume=true") == 0
    first, second = Recorded.made
    assert first.arguments[key] is None
    assert second.arguments[key] == (tmp_path / "run" / name / "id").read_text().strip()


@pytest.mark.parametrize(
    ("name", "module"), [("mlflow", "mlflow"), ("comet", "comet_ml"), ("tensorboard", "tensorboard")]
)
def test_without_its_extra_a_logger_is_refused_in_one_line(name, module, tmp_path, search, capfd, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None if wanted == module else find(wanted))
    assert search(tmp_path / "run", f"logger={name}") == 2
    assert capfd.readouterr().err == (
        f"error: logger={name} needs {module}: pip install 'darts-pl[{name}]' (in a checkout '.[{name}]')\n"
    )
    assert not (tmp_path / "run").exists()
