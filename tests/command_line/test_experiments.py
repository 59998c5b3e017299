"""An experiment in the form that suits the space of a command, and the smoke test in every space."""

from __future__ import annotations

import json

import pytest

from darts_pl.cli import main
from darts_pl.command_line import config_folder, prepared
from tests.test_config import configured

SEARCHES = sorted(path.stem for path in (config_folder() / "search").glob("*.yaml"))
METHODS = sorted(path.stem for path in (config_folder() / "method").glob("*.yaml"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["experiment=debug", "search=rnn"], ["experiment=debug_rnn", "search=rnn"]),
        (["search=nasbench201", "+experiment=debug"], ["search=nasbench201", "experiment=debug_nasbench201"]),
        (["experiment=quickstart", "search=rnn"], ["experiment=quickstart_rnn", "search=rnn"]),
        (["-m", "experiment=debug", "search=rnn"], ["-m", "experiment=debug_rnn", "search=rnn"]),
    ],
)
def test_an_experiment_gives_way_to_its_form_for_the_space_of_the_command(given, expected):
    assert prepared(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        ["experiment=debug"],
        ["experiment=debug", "search=suite_wide_regular"],  # of the space of the experiment
        ["experiment=debug_rnn", "search=rnn"],
        ["experiment=ptb_small", "search=nasbench201"],  # no such form
        ["experiment=debug", "search=of_my_own"],
        ["search=rnn"],
    ],
)
def test_other_experiments_stay_as_they_are(given):
    assert prepared(given) == given


@pytest.mark.parametrize("search", SEARCHES)
def test_the_smoke_test_composes_with_every_search(search):
    config = configured(*prepared(["experiment=debug", f"search={search}"]))
    assert config.debug
    assert config.search_batch_size == config.train_batch_size == 8


@pytest.mark.parametrize("method", METHODS)
def test_the_smoke_test_composes_with_every_method(method):
    assert configured("experiment=debug", f"method={method}").debug


@pytest.mark.parametrize(
    ("choices", "kind"),
    [
        (["search=nasbench201"], "nasbench201"),
        (["search=rnn"], "rnn"),
        pytest.param(["search=suite_small_wide_regular"], "cnn", marks=pytest.mark.slow),
        pytest.param(["method=p_darts"], "cnn", marks=pytest.mark.slow),
        pytest.param(["method=dr_nas"], "cnn", marks=pytest.mark.slow),
        pytest.param(["search=nasbench201", "method=dr_nas"], "nasbench201", marks=pytest.mark.slow),
    ],
)
def test_the_smoke_test_makes_a_search_and_a_training(choices, kind, tmp_path):
    assert main(["experiment=debug", *choices, "hardware.threads=1", f"hydra.run.dir={tmp_path}"]) == 0
    searched = json.loads((tmp_path / "search" / "summary.json").read_text())
    assert (searched["epochs"], searched["batches"]) == (1, 1)
    assert len((tmp_path / "retrain" / "metrics.csv").read_text().splitlines()) == 2  # the heading and one epoch
    assert json.loads((tmp_path / "search" / "genotype.json").read_text())["kind"] == kind
