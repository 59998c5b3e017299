"""``time_budget``: what is chosen for a pace that the test sets, and what is refused."""

import json

import pytest

from darts_pl.config import seconds_of
from darts_pl.tasks.execution import time_budget
from darts_pl.tasks.execution.time_budget import Pace
from tests.tasks.conftest import finished

#: The preset sets 3 cells, 8 channels and 15 epochs.
SEARCH = ["data=digits", "order=first", "search.nodes=2", "preset=few_images", "debug=true"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("1d", 86400), ("0m", 0), ("10", 0), ("m", 0)]
)
def test_a_time_is_a_number_with_a_unit(text, seconds):
    assert seconds_of(text) == seconds


@pytest.fixture
def pace(monkeypatch):
    """Lets an epoch take as many seconds as the network has cells times channels; returns what was timed."""
    timed = []

    def measure(context, build, settings):
        timed.append((settings.layers, settings.init_channels))
        return Pace(0.1, float(settings.layers * settings.init_channels))

    monkeypatch.setattr(time_budget, "_measure", measure)
    return timed


def chosen(folder):
    return json.loads((folder / "time_budget.json").read_text())["search"]


def test_sizes_and_epochs_stay_where_all_fits(pace, tmp_path, capsys):
    # 3 cells of 8 channels: 24 s per epoch, and 85 % of 600 s are enough for 21
    folder = finished(tmp_path / "run", *SEARCH, "time_budget=10m")
    assert chosen(folder) == {"layers": 3, "init_channels": 8, "epochs": 15}
    line = "time_budget=10m: search.layers=3 search.init_channels=8 search.epochs=15 (0.1 s per step, about 6 min)"
    assert line in capsys.readouterr().out
    assert "epochs: 15" in (folder / ".hydra" / "config.yaml").read_text()
    finished(folder, *SEARCH, "time_budget=10m", "resume=true")
    assert pace == [(3, 4), (3, 8)]  # a run that is continued times nothing


def test_epochs_are_lowered_before_sizes_are(pace, tmp_path):
    # 85 % of 300 s are 255 s: ten epochs of 24 s
    found = chosen(finished(tmp_path / "run", *SEARCH, "time_budget=300s"))
    assert found == {"layers": 3, "init_channels": 8, "epochs": 10}


def test_sizes_are_lowered_where_ten_epochs_do_not_fit(pace, tmp_path):
    # 85 % of 200 s are 170 s: 14 epochs of 12 s
    found = chosen(finished(tmp_path / "run", *SEARCH, "time_budget=200s"))
    assert found == {"layers": 3, "init_channels": 4, "epochs": 14}


def test_what_the_command_gives_stays(pace, tmp_path):
    command = [*SEARCH, "search.epochs=3", "search.init_channels=8", "time_budget=100s"]
    assert chosen(finished(tmp_path / "run", *command)) == {"layers": 3, "init_channels": 8, "epochs": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["time_budget=0m"], "time_budget=0m: must be a time such as 90s, 10m, 1h or 1d"),
        (["time_budget=10"], "time_budget=10: must be a time such as"),
        (["time_budget=10m", "task=zoo"], "time_budget=10m with task=zoo: is for task=search, retrain, search_and"),
        (["time_budget=10m", "hardware=ddp_cpu"], "time_budget=10m: is measured in one process"),
    ],
)
def test_what_is_no_time_or_cannot_be_timed_is_refused_in_one_line(arguments, message, refused):
    error = refused(*SEARCH, *arguments)
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_time_that_is_too_short_says_how_long_an_epoch_takes(pace, refused):
    error = refused(*SEARCH, "time_budget=10s")
    assert "time_budget=10s: too short; the smallest network takes 12 s per epoch: give about 14 s or more" in error


@pytest.mark.slow
def test_a_real_search_and_training_are_timed(tmp_path):
    folder = finished(tmp_path / "run", *SEARCH, "task=search_and_retrain", "time_budget=1h")
    assert json.loads((folder / "search" / "time_budget.json").read_text())["search"]["epochs"] == 15
    assert json.loads((folder / "time_budget.json").read_text())["train"]["layers"] == 5
