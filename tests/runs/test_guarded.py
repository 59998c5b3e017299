"""A logger that is down, slow or broken changes nothing in a run."""

from __future__ import annotations

import json
import logging
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import wandb
from pytorch_lightning.utilities import rank_zero_only
from wandb.sdk.wandb_run import Run
from wandb.sdk.wandb_summary import Summary

from darts_pl.runs.loggers import GuardedLogger
from darts_pl.runs.loggers import calls as calls_module


class Recorder:
    """A sink that keeps what it is given, or raises in every call."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.given: list[tuple[Any, ...]] = []
        self.threads: set[int] = set()

    def _take(self, *record: Any) -> None:
        self.threads.add(threading.get_ident())
        self.given.append(record)
        if self.error is not None:
            raise self.error

    def log_metrics(self, metrics: Any, step: int | None) -> None:
        self._take("metrics", metrics, step)

    def log_image(self, key: str, image: Any, step: int) -> None:
        self._take("image", key, step)

    def log_table(self, key: str, columns: Any, rows: Any, step: int) -> None:
        self._take("table", key, step)

    def log_summary(self, summary: Any) -> None:
        self._take("summary", summary)

    def close(self, exit_code: int) -> None:
        self._take("close", exit_code)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("darts_pl") and record.levelno >= logging.WARNING
    ]


def give_everything(logger: GuardedLogger) -> None:
    logger.log_metrics({"loss": 1.0}, 3)
    logger.log_image("cells", np.zeros((2, 2, 3), np.uint8), 3)
    logger.log_table("genotypes", ["a"], [[1]], 3)
    logger.log_summary({"a": 1})
    logger.finish(7)


def test_records_arrive_in_order_on_one_other_thread_and_nothing_after_the_end(tmp_path: Path) -> None:
    sink = Recorder()
    logger = GuardedLogger("W&B", lambda: sink, tmp_path, 5)
    give_everything(logger)
    logger.log_metrics({"loss": 2.0}, 4)
    logger.finish(8)
    assert sink.given == [
        ("metrics", {"loss": 1.0}, 3),
        ("image", "cells", 3),
        ("table", "genotypes", 3),
        ("summary", {"a": 1}),
        ("close", 7),
    ]
    assert len(sink.threads) == 1
    assert threading.get_ident() not in sink.threads


def test_a_sink_that_raises_in_every_call_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Recorder(OSError("no route to host"))
    give_everything(GuardedLogger("W&B", lambda: sink, tmp_path, 5))
    assert len(sink.given) == 5  # each was tried
    assert warnings_of(caplog) == ["W&B: OSError: no route to host; the run goes on without it"]


def test_a_sink_that_cannot_be_opened_is_not_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    attempts = []

    def open_sink() -> Recorder:
        attempts.append(1)
        raise SystemExit("no such thing")

    give_everything(GuardedLogger("W&B", open_sink, tmp_path, 5))
    assert len(attempts) == 1
    assert warnings_of(caplog) == ["W&B: SystemExit: no such thing; the run goes on without it"]


def test_a_sink_that_hangs_holds_up_neither_the_records_nor_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "LONGEST_QUEUE", 10)
    released, sink = threading.Event(), Recorder()

    def open_sink() -> Recorder:
        released.wait(60)
        return sink

    logger = GuardedLogger("W&B", open_sink, tmp_path, 0.2)
    started = time.monotonic()
    for step in range(100):
        logger.log_metrics({}, step)
    assert time.monotonic() - started < 1
    logger.finish(0)
    assert time.monotonic() - started < 2
    assert warnings_of(caplog) == ["W&B: too slow; it misses some records of this run"]
    released.set()


def test_only_rank_zero_opens_a_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    sink = Recorder()
    threads = threading.active_count()
    give_everything(GuardedLogger("W&B", lambda: sink, tmp_path, 5))
    assert sink.given == []
    assert threading.active_count() == threads


def test_a_logger_can_be_sent_to_another_process(tmp_path: Path) -> None:
    logger = GuardedLogger("W&B", partial(Recorder, None), tmp_path, 5)
    logger.log_metrics({}, 0)
    copy = pickle.loads(pickle.dumps(logger))
    copy.log_metrics({}, 1)
    copy.finish(0)
    logger.finish(0)
    assert copy.save_dir == logger.save_dir == str(tmp_path)


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory, search: Callable[..., int]) -> Path:
    """The folder of a search without W&B."""
    folder = tmp_path_factory.mktemp("without")
    assert search(folder) == 0
    return folder


def outcome(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, torch.Tensor]]:
    """Summary without its time, alphas, and weights of a finished search."""
    summary = json.loads((folder / "summary.json").read_text())
    summary.pop("seconds")
    with np.load(folder / "alphas.npz") as alphas:
        kept = dict(alphas)
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    decided = json.loads(bytes(state.pop("supernet.arch._extra_state").tolist()))
    assert all(not values["fixed"] and all(map(all, values["live"])) for values in decided.values())
    return summary, kept, state


@pytest.fixture(params=["every call raises", "init hangs", pytest.param("init raises", marks=pytest.mark.slow)])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """W&B, broken in one way."""

    def fail(*arguments: Any, **named: Any) -> Any:
        raise wandb.errors.CommError("W&B is down")

    released, finish = threading.Event(), Run.finish
    opened: list[Run] = []
    if request.param == "init raises":
        monkeypatch.setattr(wandb, "init", fail)
    elif request.param == "init hangs":
        monkeypatch.setattr(wandb, "init", lambda **named: released.wait(60))
    else:
        init = wandb.init
        monkeypatch.setattr(wandb, "init", lambda **named: opened.append(init(**named)) or opened[-1])
        for name in ("log", "finish", "log_artifact", "use_artifact"):
            monkeypatch.setattr(Run, name, fail)
        monkeypatch.setattr(Summary, "update", fail)
    yield request.param
    released.set()
    for run in opened:
        finish(run)


def test_a_search_with_a_broken_wandb_ends_bitwise_as_one_without(
    broken: str,
    without: Path,
    tmp_path: Path,
    search: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
) -> None:
    timeout = 0.5 if broken == "init hangs" else 60
    assert search(tmp_path, "logger=wandb", f"logger.wandb.timeout={timeout}") == 0
    (summary, alphas, weights), (wanted, wanted_alphas, wanted_weights) = outcome(tmp_path), outcome(without)
    assert summary == wanted
    for name, values in wanted_alphas.items():
        assert np.array_equal(alphas[name], values)
    assert weights.keys() == wanted_weights.keys()
    assert all(torch.equal(weights[name], value) for name, value in wanted_weights.items())
    (message,) = [line for line in capfd.readouterr().err.splitlines() if "W&B" in line]
    assert "the run goes on without it" in message
    assert ("did not finish" if broken == "init hangs" else "W&B is down") in message
