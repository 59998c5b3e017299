"""``time_budget``: what is chosen for a pace that the test sets, and what is refused."""

import json

import pytest

from darts_pl.cli import main
from darts_pl.config import seconds_of
from darts_pl.tasks.execution import time_budget
from darts_pl.tasks.execution.time_budget import Pace
from tests.tasks.conftest import finished

SEARCH = ["data=digits", "order=first", "search.nodes=2", "search.layers=4", "search.init_channels=8", "debug=true"]


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


def test_sizes_stay_and_epochs_are_lowered_where_ten_epochs_fit(pace, tmp_path, capsys):
    # 4 cells of 8 channels: 32 s per epoch; 85 % of 600 s are 15 epochs
    folder = finished(tmp_path / "run", *SEARCH, "time_budget=10m")
    assert chosen(folder) == {"layers": 4, "init_channels": 8, "epochs": 15}
    line = "time_budget=10m: search.layers=4 search.init_channels=8 search.epochs=15 (0.1 s per step, about 8 min)"
    assert line in capsys.readouterr().out


def test_sizes_are_lowered_until_ten_epochs_fit(pace, tmp_path):
    # 85 % of 200 s are 170 s, that is ten epochs of 17 s: 3 cells of 4 channels take 12 s
    found = chosen(finished(tmp_path / "run", *SEARCH, "time_budget=200s"))
    assert found["layers"] * found["init_channels"] <= 17
    assert found["epochs"] == int(170 / (found["layers"] * found["init_channels"]))


def test_what_the_command_gives_stays(pace, tmp_path):
    found = chosen(finished(tmp_path / "run", *SEARCH, "search.epochs=3", "time_budget=100s"))
    assert found["epochs"] == 3
    assert found["layers"] == 4  # SEARCH gives it, and the channels
    assert found["init_channels"] == 8


def test_what_was_chosen_is_what_the_folder_says_and_what_a_resumed_run_keeps(pace, tmp_path):
    command = [*SEARCH[:-3], "debug=true", "time_budget=10m"]
    folder = finished(tmp_path / "run", *command)
    before, timed = chosen(folder), len(pace)
    assert f"epochs: {before['epochs']}" in (folder / ".hydra" / "config.yaml").read_text()
    finished(folder, *command, "resume=true")
    assert len(pace) == timed
    assert chosen(folder) == before


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
    error = refused(*SEARCH, "time_budget=30s")
    assert "time_budget=30s: too short; the smallest network takes 32 s per epoch: give about" in error


def test_a_real_search_is_timed(tmp_path):
    folder = tmp_path / "run"
    assert (
        main(
            [
                *SEARCH[:-3],
                "search.layers=3",
                "search.init_channels=2",
                "debug=true",
                "time_budget=1h",
                f"hydra.run.dir={folder}",
            ]
        )
        == 0
    )
    assert chosen(folder)["epochs"] >= 1
