"""What TensorBoard is given, read back from its event files by its own reader."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_pl.genotype import parse
from tests.offline_wandb import offline_runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, search: Callable[..., int]) -> Path:
    """Of a finished search with both loggers."""
    path = tmp_path_factory.mktemp("search")
    assert search(path, "logger=[wandb,tensorboard]") == 0
    return path


@pytest.fixture(scope="module")
def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder / "tensorboard"))
    accumulator.Reload()
    return accumulator


def text(events: EventAccumulator, name: str) -> str:
    """The last text of that name."""
    return events.Tensors(f"{name}/text_summary")[-1].tensor_proto.string_val[0].decode()


def test_every_metric_of_the_table_is_shown(folder: Path, events: EventAccumulator) -> None:
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in [name for name in rows[0] if "/" in name]:
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        assert shown == [(int(row["batches"]) - 1, pytest.approx(float(row[name]), rel=1e-6)) for row in rows]
    assert {"samples_per_second", "peak_memory_mb"} <= set(events.Tags()["scalars"])


def test_pictures_genotypes_configuration_and_summary_are_shown(folder: Path, events: EventAccumulator) -> None:
    for name in ("search/mixing_weights", "search/cells"):
        images = events.Images(name)
        assert [image.step for image in images] == [5, 11]
        with Image.open(io.BytesIO(images[-1].encoded_image_string)) as image:
            assert image.size == (images[-1].width, images[-1].height)
    genotypes = (folder / "genotypes.jsonl").read_text().splitlines()
    lines = text(events, "search/genotypes").splitlines()
    assert lines[2:] == [f"| {epoch} | {parse(genotype)} |" for epoch, genotype in enumerate(genotypes)]
    assert "train_portion: 0.5" in text(events, "config")
    summary = json.loads((folder / "summary.json").read_text())
    assert f"| search/valid_loss | {summary['search/valid_loss']} |" in text(events, "summary").splitlines()


def test_wandb_is_given_the_same_beside_it(folder: Path, events: EventAccumulator) -> None:
    (run,) = offline_runs(folder)
    shown = {event.step: event.value for event in events.Scalars("search/valid_loss")}
    assert run.values("search/valid_loss") == pytest.approx(shown, rel=1e-6)


def test_without_its_extra_the_command_is_refused_with_what_installs_it(
    tmp_path: Path, search: Callable[..., int], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    assert search(tmp_path, "logger=tensorboard") == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("error: logger=tensorboard")
    assert "pip install 'darts-pl[tensorboard]'" in line
