"""What a command takes over from the run that it continues, or whose genotype it trains."""

import json

import pytest

from darts_pl import zoo
from darts_pl.cli import main
from darts_pl.command_line import prepared
from darts_pl.errors import UserError
from darts_pl.records.best import best_run

SEARCH = ["data=digits", "order=first", "search.nodes=2", "search.layers=3", "search.init_channels=2"]
TRAIN = ["train.layers=3", "train.init_channels=3", "train.auxiliary_weight=0", "train.cutout=0"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search that also says how its cell is to be trained."""
    folder = tmp_path_factory.mktemp("runs") / "searched"
    assert main([*SEARCH, *TRAIN, "hardware.precision=64-true", "debug=true", f"hydra.run.dir={folder}"]) == 0
    return folder


def test_a_training_takes_data_sizes_and_precision_from_the_search(searched):
    found = prepared(["task=retrain", f"genotype={searched}"])
    assert {"data=digits", "train=darts", *TRAIN, 'hardware.precision="64-true"'} <= set(found)


def test_options_behind_the_overrides_stay_behind_them(searched, capsys):
    assert main(["task=retrain", f"genotype={searched}", "--cfg", "job", "--package", "data"]) == 0
    assert "name: digits" in capsys.readouterr().out


def test_what_the_training_names_overrides_what_the_search_had(searched):
    found = prepared(["task=retrain", f"genotype={searched}", "train.layers=5", "hardware.precision=32-true"])
    assert [one for one in found if one.startswith(("train.layers", "hardware"))] == [
        "train.layers=5",
        "hardware.precision=32-true",
    ]


def test_a_training_of_a_derived_cell_takes_them_from_the_search_and_what_the_derivation_chose(
    searched, tmp_path, monkeypatch
):
    monkeypatch.chdir(searched.parent)  # the derivation names the search by a relative path
    derive = ["task=derive", f"run={searched.name}", "train.layers=5", "hydra.run.dir=derived"]
    assert main(derive) == 0
    monkeypatch.chdir(tmp_path)
    found = prepared(["task=retrain", f"genotype={searched.parent / 'derived'}"])
    assert {"data=digits", "train=darts", "train.layers=5"} <= set(found)
    assert "train.layers=3" not in found


def test_a_training_of_a_derived_cell_has_the_sizes_of_the_search(searched, tmp_path):
    assert main(["task=derive", f"run={searched}", f"hydra.run.dir={tmp_path / 'derived'}"]) == 0
    found = prepared(["task=retrain", f"genotype={tmp_path / 'derived'}"])
    assert {"data=digits", "train=darts", *TRAIN, 'hardware.precision="64-true"'} <= set(found)


@pytest.mark.parametrize("other", ["data=cifar10", "experiment=darts_cifar10_retrain", "task=derive"])
def test_other_data_or_an_experiment_take_nothing_over(searched, other):
    command = ["task=retrain", f"genotype={searched}", other]
    assert prepared(command) == command


@pytest.fixture
def searches(tmp_path):
    """By selection rule, the folder of a search with it."""
    found = {}
    for rule in ("pairs", "perturbation"):
        (tmp_path / rule / ".hydra").mkdir(parents=True)
        (tmp_path / rule / ".hydra" / "hydra.yaml").write_text(f"hydra: {{runtime: {{choices: {{select: {rule}}}}}}}\n")
        settings = "{name: perturbation, criterion: loss, topology: each, fraction: 0.5}"
        text = settings if rule == "perturbation" else "{name: pairs}"
        (tmp_path / rule / ".hydra" / "config.yaml").write_text(f"select: {text}\n")
        found[rule] = tmp_path / rule
    return found


def test_a_derivation_takes_the_rule_of_the_search_unless_it_names_one(searches):
    command = ["task=derive", f"run={searches['perturbation']}"]
    taken = ["select=perturbation", 'select.criterion="loss"', "select.fraction=0.5"]
    assert prepared(command) == [*command, *taken]
    assert prepared([*command, "select.fraction=1"]) == [*command, "select.fraction=1", *taken[:2]]
    for own in ("select=magnitude", "method=gdas", "experiment=debug"):
        assert prepared([*command, own]) == [*command, own]
    assert prepared(["task=correlate", command[1]]) == ["task=correlate", command[1]]


def test_a_sweep_of_derivations_takes_the_rule_that_all_its_searches_have(searches):
    one = searches["pairs"]
    both = ["-m", "task=derive", f"run={one},{one}"]
    assert prepared(both) == [*both, "select=pairs"]
    with pytest.raises(UserError, match=r"different selection rules \(.*select=pairs.*\); choose one with select=NAME"):
        prepared(["-m", "task=derive", f"run={one},{searches['perturbation']}"])


def test_a_published_name_takes_nothing_over():
    assert prepared(["task=retrain", "genotype=darts_v2"]) == ["task=retrain", "genotype=darts_v2"]


def test_resume_folder_alone_is_the_command_that_began_the_run(searched):
    found = prepared([f"resume={searched}"])
    assert set(found) == {*SEARCH, *TRAIN, "hardware.precision=64-true", "debug=true", f"resume={searched}"}


def test_resume_folder_names_the_first_setting_that_differs(searched, capsys):
    assert main([f"resume={searched}", "search.layers=4"]) == 2
    assert "belongs to a run with search.layers=3, and not search.layers=4" in capsys.readouterr().err


def sweep(folder, scores, name="search/valid_accuracy", objective=None):
    """The folder of a sweep as Hydra and the runs leave it."""
    folder.mkdir(parents=True)
    (folder / "multirun.yaml").write_text("hydra: {}\n")
    for job, score in scores.items():
        (folder / job / ".hydra").mkdir(parents=True)
        (folder / job / ".hydra" / "config.yaml").write_text(f"task:\n  objective: {objective or name}\n")
        (folder / job / "genotype.json").write_text(zoo.published("darts_v2").to_json())
        (folder / job / "summary.json").write_text(json.dumps({name: score}))
    return folder


def test_a_sweep_stands_for_its_best_run_and_a_line_says_which(tmp_path, capsys):
    folder = sweep(tmp_path / "sweep", {"seed-0": 0.5, "seed-1": 0.75, "seed-2": 0.625, "seed-3": None})
    assert f'genotype="{folder}/seed-1"' in prepared(["task=retrain", f"genotype={folder}"])
    expected = f"genotype={folder}: the best of 3 runs is seed-1 (search/valid_accuracy 0.7500)\n"
    assert capsys.readouterr().err == expected


def test_of_perplexities_the_smallest_is_the_best(tmp_path):
    name, objective = "search/valid_perplexity", "search/valid_accuracy"
    folder = sweep(tmp_path / "sweep", {"a": 120.0, "b": 90.5}, name, objective)
    assert best_run(folder).folder.name == "b"


def test_of_ranks_the_smallest_is_the_best(tmp_path):
    folder = sweep(tmp_path / "sweep", {"a": 3, "b": 7}, "table/rank")
    assert best_run(folder).folder.name == "a"


@pytest.mark.parametrize(
    ("scores", "name", "message"),
    [
        ({}, "search/valid_accuracy", "no run of this sweep is finished"),
        ({"a": 0.9}, "test/accuracy", "the test split must not choose a genotype"),
    ],
)
def test_a_sweep_without_a_run_to_choose_is_refused(tmp_path, capsys, scores, name, message):
    folder = sweep(tmp_path / "sweep", scores, name)
    with pytest.raises(UserError, match=message):
        best_run(folder)
    assert main(["task=retrain", f"genotype={folder}", f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    assert message in capsys.readouterr().err
