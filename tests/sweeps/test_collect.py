"""The table of many runs, against numbers worked out by hand."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from darts_pl.cli import main
from darts_pl.records.job_record import read_record
from darts_pl.zoo import published
from tests.tiny_sweep import TINY

#: Seeds 0, 1, 2 in first order and 0, 1 in second: accuracies whose means and deviations are easily found.
ACCURACY = {("first", 0): 0.5, ("first", 1): 0.7, ("first", 2): 0.9, ("second", 0): 0.2, ("second", 1): 0.6}

GENOTYPES = ("darts_v1", "darts_v2", "darts_v1")

#: By order: n, mean, sqrt(sum of squares / (n - 1)): first sqrt((0.04 + 0 + 0.04) / 2), second sqrt(0.08).
EXPECTED = {"first": (3, 0.7, 0.2), "second": (2, 0.4, 0.08**0.5)}


def collected(folder: Path, runs: str) -> list[dict[str, str]]:
    assert main(["task=collect", f"runs={runs}", f"hydra.run.dir={folder}"]) == 0
    with (folder / "runs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def untouched(swept_once):
    """A sweep of six jobs, of which the last fails."""

    def found(context):
        order, seed = context.config.order.name, context.config.seed
        if (order, seed) not in ACCURACY:
            raise RuntimeError("no such | luck\nsecond line")
        return {
            "search/valid_accuracy": ACCURACY[order, seed],
            "parameters": 1000 + seed,
            "genotype": str(published(GENOTYPES[seed])),
        }

    return swept_once(found, [*TINY, "data.path=none", "seed=2,0,1", "order=first,second"], 1)


@pytest.fixture
def swept(untouched, tmp_path):
    return Path(shutil.copytree(untouched, tmp_path / "sweep"))


def test_mean_and_deviation_over_seeds_are_those_worked_out_by_hand(tmp_path, swept):
    rows = collected(tmp_path / "table", str(swept))
    assert [(row["order"], row["seed"], row["state"]) for row in rows] == [
        *[("first", seed, "finished") for seed in "012"],
        *[("second", seed, "finished") for seed in "01"],
        ("second", "2", "failed"),
    ]
    for row in rows:
        n, mean, std = EXPECTED[row["order"]]
        assert int(row["search/valid_accuracy n"]) == n
        assert float(row["search/valid_accuracy mean"]) == pytest.approx(mean, abs=1e-12)
        assert float(row["search/valid_accuracy std"]) == pytest.approx(std, abs=1e-12)
        if row["state"] == "finished":
            assert float(row["search/valid_accuracy"]) == ACCURACY[row["order"], int(row["seed"])]
            assert row["genotype"] == str(published(GENOTYPES[int(row["seed"])]))
            assert int(row["parameters"]) == 1000 + int(row["seed"])
            assert row["data"] == "npz"
    assert rows[-1]["reason"] == "RuntimeError: no such | luck"
    assert rows[-1]["search/valid_accuracy"] == rows[-1]["genotype"] == ""


def test_markdown_and_screen_show_the_same_table(tmp_path, swept, capsys):
    collected(tmp_path / "table", str(swept))
    text = (tmp_path / "table" / "runs.md").read_text()
    table = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert table[0][:6] == ["#", "order", "seed", "state", "search/valid_accuracy", "parameters"]
    assert table[2][:6] == ["1", "first", "0", "finished", "0.5000", "1,000"]
    assert table[5][1:5] == ["first", "3 seeds", "mean ± std", "0.7000 ± 0.2000"]
    assert table[9][1:5] == ["second", "2 seeds", "mean ± std", "0.4000 ± 0.2828"]
    assert "| RuntimeError: no such \\| luck |" in text
    assert table[8][-1] == str(swept / "order-second+seed-2")
    assert table[2][6] == f"`{published('darts_v1')}`"
    assert text.startswith("All: data=npz search.layers=3 ")
    screen = capsys.readouterr().out
    for cells in (("1", "first", "0", "finished", "0.5000", "1,000"), ("first", "3", "seeds", "0.7000", "±", "0.2000")):
        assert any(set(cells) <= set(line.split()) for line in screen.splitlines()), cells
    assert "6  RuntimeError: no such | luck" in screen


def test_differences_and_published_figures_stand_below_the_table(tmp_path, pretend, capsys):
    def found(context):
        better = context.config.order.name == "second"
        return {
            "table/cifar10_test": 90.0 + context.config.seed + better,
            "table/rank": 10 + 5 * better,
            "seconds": 2.0,
        }

    pretend(found)
    for number, (order, seed) in enumerate((order, seed) for order in ("first", "second") for seed in (0, 1)):
        folder = tmp_path / "runs" / str(number)
        assert main([*TINY, "data.path=none", f"order={order}", f"seed={seed}", f"hydra.run.dir={folder}"]) == 0
    capsys.readouterr()
    rows = collected(tmp_path / "table", str(tmp_path / "runs"))
    assert len(rows) == 4
    written = (tmp_path / "table" / "runs.md").read_text()
    # Both seeds differ by one point, so that the interval is one point.
    assert "| order=first | order=second | table/cifar10_test | 2 | -1.00 | -1.00 to -1.00 | worse |" in written
    assert "| DARTS (first order) | 54.30 ± 0.00 |" in written
    assert "| 90.50 ± 0.71 | 10 ± 0 | 2 ± 0 |" in written
    screen = capsys.readouterr().out
    page = (tmp_path / "table" / "report.html").read_text()
    for text in (screen, page):
        assert "-1.00 to -1.00" in text
        assert "54.30 ± 0.00" in text


def test_jobs_that_are_not_finished_appear_with_their_state(tmp_path, swept):
    (job,) = swept.glob("*first*seed-0")
    replace(read_record(job), state="running").write(job)  # cut off; an older summary is still there
    (other,) = swept.glob("*first*seed-1")
    (other / "summary.json").write_text('{"task": "sear')
    rows = {(row["order"], row["seed"]): row for row in collected(tmp_path / "table", str(swept))}
    for seed in "01":
        assert rows["first", seed]["state"] == "unfinished"
        assert rows["first", seed]["search/valid_accuracy"] == ""
    assert rows["first", "2"]["search/valid_accuracy n"] == "1"
    assert rows["first", "2"]["search/valid_accuracy std"] == ""
    counts = json.loads((tmp_path / "table" / "summary.json").read_text())
    assert {name: counts[name] for name in ("runs", "finished", "failed", "unfinished")} == {
        "runs": 6, "finished": 3, "failed": 1, "unfinished": 2,
    }  # fmt: skip


def test_single_runs_below_a_folder_are_collected_and_other_tables_are_not(tmp_path, pretend):
    pretend(lambda context: {"test/accuracy": 0.1 * (1 + context.config.seed)})
    for number, seed in enumerate((0, 1, 1)):
        folder = tmp_path / "outputs" / f"run_{number}"
        assert main([*TINY, "data.path=none", f"seed={seed}", f"hydra.run.dir={folder}"]) == 0
    (tmp_path / "outputs" / "begun" / ".hydra").mkdir(parents=True)
    for number in range(2):  # the second time the first table is there
        rows = collected(tmp_path / "outputs" / f"table_{number}", str(tmp_path / "outputs"))
        assert [row["state"] for row in rows] == ["unfinished", "finished", "finished", "finished"]
    assert rows[1]["test/accuracy n"] == "2"  # one of the seeds ran twice
    assert float(rows[1]["test/accuracy mean"]) == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["runs=FOLDER"]),
        (["runs=/no/such"], ["/no/such"]),
        (["runs={tmp_path}"], ["no run"]),
        (["runs=3"], ["runs=3"]),
    ],
)
def test_what_cannot_be_collected_is_refused_in_one_line(arguments, words, tmp_path, capsys):
    given = [argument.format(tmp_path=tmp_path) for argument in arguments]
    assert main(["task=collect", *given, f"hydra.run.dir={tmp_path / '.table'}"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert all(word in error for word in words)
