"""The study of the suite: its settings, its tables against ranks by hand, and what both refuse."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import study_suite
from darts_pl.cli import main
from darts_pl.errors import UserError
from tests.tasks.conftest import finished

SummaryOf = Callable[..., dict[str, object]]

#: Test accuracies by variant and seed: of two methods and of a random cell.
SCORES = {
    ("wide_regular", 0): (0.90, 0.80, 0.70),
    ("wide_regular", 1): (0.80, 0.80, 0.90),
    ("deep_no_skip", 0): (0.50, 0.60, 0.55),
    ("deep_no_skip", 1): (0.50, 0.70, 0.60),
}
#: The summary of a job of another task.
SEARCH = '{"task": "search", "search/valid_accuracy": 0.5}'


def leave_run(folder: Path, method: str, variant: str, seed: int, accuracy: float, random: float) -> None:
    """The files of a finished job that the study reads."""
    (folder / ".hydra").mkdir(parents=True)
    choices = {"hydra": {"runtime": {"choices": {"search": f"suite_{variant}"}}}}
    (folder / ".hydra/hydra.yaml").write_text(yaml.safe_dump(choices))
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump({"method": method, "seed": seed}))
    summary = {"task": "search_and_retrain", "test/accuracy": accuracy, "random/test_accuracy": random}
    (folder / "summary.json").write_text(json.dumps(summary))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """The folder of a sweep of two methods in two variants with two seeds."""
    for (variant, seed), (first, second, random) in SCORES.items():
        for method, accuracy in (("darts", first), ("gdas", second)):
            leave_run(tmp_path / "sweep" / f"{method}_{variant}_{seed}", method, variant, seed, accuracy, random)
    return tmp_path / "sweep"


def test_the_table_has_the_mean_ranks_by_hand_with_their_intervals(sweep, capsys):
    assert study_suite.main([str(sweep), "--csv", str(sweep / "runs.csv")]) == 0
    shown = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines() if line[:1] == "|"]
    assert rows[0] == ["method", "deep_no_skip", "wide_regular", "all variants"]
    # darts: 3 and 3 in deep; 1 and 2.5 (it shares the last ranks with gdas) in wide; by seed 2 and 2.75.
    # Student's quantile of one degree of freedom is 12.706: 1.75 +- 12.706 * 0.75 and so on, cut off at 1 and 3.
    assert rows[2] == ["darts", "3.00 (3.00 to 3.00)", "1.75 (1.00 to 3.00)", "2.38 (1.00 to 3.00)"]
    assert rows[3] == ["gdas", "1.00 (1.00 to 1.00)", "2.25 (1.00 to 3.00)", "1.62 (1.00 to 3.00)"]
    assert rows[4] == ["random cell", "2.00 (2.00 to 2.00)", "2.00 (1.00 to 3.00)", "2.00 (1.00 to 3.00)"]
    deep = next(row for row in rows if row[:2] == ["deep_no_skip", "darts"])
    # -5 and -10 percent: mean -7.5, interval 12.706 * 3.5355 / sqrt(2) = 31.8.
    assert deep[2:] == ["2", "50.0", "57.5", "-7.5 (-39.3 to +24.3)", "no difference shown"]
    assert (sweep / "runs.csv").read_text().splitlines()[1] == "deep_no_skip,darts,0,0.5000,0.5500"


def test_a_variant_and_seed_that_a_method_lacks_is_left_out_and_named(sweep, capsys):
    shutil.rmtree(sweep / "gdas_wide_regular_1")
    (sweep / "gdas_wide_regular_0/summary.json").unlink()
    assert study_suite.main([str(sweep)]) == 0
    shown = capsys.readouterr()
    assert "wide_regular" not in shown.out
    assert "left out: wide_regular, seed 1, without gdas" in shown.err
    assert f"not finished: {sweep / 'gdas_wide_regular_0'}" in shown.err


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda sweep: shutil.rmtree(sweep), "there is no such folder"),
        (lambda sweep: [shutil.rmtree(job) for job in sweep.iterdir()], "no finished run is in there"),
        (lambda sweep: leave_run(sweep / "z", "darts", "wide_regular", 0, 0.1, 0.1), "another run has method=darts"),
        (lambda sweep: (sweep / "darts_deep_no_skip_0/summary.json").write_text(SEARCH), "no run of task=search_and"),
        (lambda sweep: leave_run(sweep / "z", "own", "single_no_skip", 0, 0.1, 0.1), "has a run of every method"),
    ],
)
def test_a_folder_that_is_no_study_is_refused_in_one_line(sweep, capsys, spoil, reason):
    spoil(sweep)
    assert study_suite.main([str(sweep)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("left out: ")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert reason in lines[0]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["search.layers=2"], "search.layers=2: must be at least 3, or name search.reductions"),
        (["search.reductions=[8]"], "search.reductions=[8]: must be cells 0 to 7 of a network of 8"),
        (["search.reductions=[-1]"], "different cell numbers, counted from 0"),
        (["train.reductions=[2,2]", "task=retrain", "genotype=darts_v2"], "different cell numbers, counted from 0"),
        (["search=suite_wide"], "suite_wide_regular"),
        (["search=suite_deep_regular", "method=pc_darts"], "7"),
    ],
)
def test_a_bad_variant_is_refused_with_what_to_write_instead(refused, overrides, reason):
    assert reason in refused("data=digits", "train.cutout=0", *overrides)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One job of the study, as small as it gets."""
    folder = tmp_path_factory.mktemp("study") / "job"
    small = ["search=suite_small_single_all_skip", "search.init_channels=2", "search.epochs=1", "train.epochs=1"]
    small += ["search.batch_size=240", "train.batch_size=240"]
    return finished(folder, "experiment=study_suite", *small, "method=gdas")


def test_a_job_of_the_study_trains_the_found_cell_and_a_random_one(study):
    (run,) = study_suite.read_runs(study)
    assert (run.method, run.variant, run.seed) == ("gdas", "small_single_all_skip", 0)
    assert 0 <= run.accuracy <= 1
    assert 0 <= run.random <= 1


def test_the_written_scores_give_the_same_tables_again(tmp_path):
    runs = [study_suite.Run(method, "wide", seed, 0.5 + seed / 8, 0.25) for method in "ab" for seed in (0, 1)]
    study_suite.write_csv(runs, tmp_path / "rows.csv")
    assert study_suite.read_runs(tmp_path / "rows.csv") == runs
    (tmp_path / "rows.csv").write_text("variant,method\nwide,darts\n")
    with pytest.raises(UserError, match="no file that --csv has written"):
        study_suite.read_runs(tmp_path / "rows.csv")


def test_the_network_of_a_variant_is_scored_again_as_it_was_trained(study, summary_of: SummaryOf, tmp_path):
    before = json.loads((study / "retrain/summary.json").read_text())
    again = summary_of(tmp_path / "test", "task=test", f"run={study / 'retrain'}")
    assert again["test/loss"] == pytest.approx(before["test/loss"], rel=1e-5)
    assert again["multiply_adds"] == before["multiply_adds"]


def test_a_sweep_of_the_study_has_every_method_variant_and_seed(capsys):
    assert main(["experiment=study_suite", "--cfg", "hydra"]) == 0
    params = yaml.safe_load(capsys.readouterr().out)["hydra"]["sweeper"]["params"]
    variants = params["search"].split(",")
    assert len({*variants}) == 9
    assert all(variant.startswith("suite_small_") for variant in variants)
    assert (params["method"], params["seed"]) == ("darts,gdas", "0,1,2")
