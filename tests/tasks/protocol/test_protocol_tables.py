"""task=protocol: its table, against the statistics that numpy and scipy compute from its parts."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from tests.offline_wandb import offline_runs
from tests.tasks.conftest import finished
from tests.tasks.protocol.parts import SMALL, summaries, table
from tests.tasks.test_text import write


def test_the_table_has_the_statistics_that_numpy_and_scipy_compute_from_the_parts(done):
    rows, found = table(done), summaries(done)
    own = {name: row for name, row in rows.items() if row["published"] == "no"}
    names = ("darts, first order, magnitude", "darts, first order, shared_weights", "random, best of 3")
    assert tuple(own) == names
    for name, row in zip(names, ("search", "shared_weights", "random"), strict=True):
        scores = [one["score"] for part, one in found.items() if part.startswith(f"choice/{row}/")]
        tests = [one["test/accuracy"] for part, one in found.items() if part.startswith(f"final/{row}/")]
        for split, values, count in (("valid", scores, 20), ("test", tests, 8)):
            assert float(own[name][f"{split}_mean"]) == pytest.approx(np.mean(values))
            assert float(own[name][f"{split}_std"]) == pytest.approx(np.std(values, ddof=1))
            shown = max(values) if split == "valid" else np.mean(values)
            limits = stats.binomtest(round(shown * count), count).proportion_ci(method="wilson")
            assert float(own[name][f"{split}_low"]) == pytest.approx(limits.low, abs=1e-12)
            assert float(own[name][f"{split}_high"]) == pytest.approx(limits.high, abs=1e-12)
        assert int(own[name]["parameters"]) == found[f"final/{row}/0"]["parameters"]
        assert own[name]["operations"] == "2"  # skip_connect, avg_pool_3x3
    first = own[names[0]]
    # Per search 2 steps of 10 + 10 images, per short training 2 epochs of 2 steps of 10 images.
    assert (first["search_steps"], first["search_images"]) == ("4", "80")
    assert (first["choice_steps"], first["choice_images"]) == ("8", "80")
    assert (own[names[2]]["search_steps"], own[names[2]]["search_images"]) == ("12", "120")


def test_the_fall_of_the_entropy_is_that_of_the_alphas_of_the_searches(done):
    falls = []
    for number in range(2):
        with np.load(done / "searches" / str(number) / "alphas.npz") as alphas:
            for cell in ("normal", "reduce"):
                weights = special.softmax(alphas[cell][-1], axis=1)
                falls.append(1 - stats.entropy(weights, axis=1).mean() / np.log(3))
    row = table(done)["darts, first order, magnitude"]
    assert float(row["entropy_fall"]) == pytest.approx(np.mean(falls), abs=1e-5)
    assert row["searched"] == "yes"
    assert f"{100 * np.mean(falls):.1f} %" in (done / "table.md").read_text()


def test_the_differences_in_the_table_are_the_paired_ones_of_scipy(done):
    found = summaries(done)
    scores = {row: [found[f"choice/{row}/{number}"]["score"] for number in range(2)] for row in ("search", "random")}
    expected = stats.ttest_rel(scores["search"], scores["random"]).confidence_interval()
    line = next(
        line
        for line in (done / "table.md").read_text().splitlines()
        if line.startswith("| darts, first order, magnitude | random, best of 3 | valid | 2 |")
    )
    mean = 100 * np.mean(np.subtract(scores["search"], scores["random"]))
    assert f"| {mean:+.2f} |" in line.replace("-0.00", "+0.00")
    if np.isfinite(expected.low):
        assert f"| {100 * expected.low:+.2f} to {100 * expected.high:+.2f} |" in line


def test_published_rows_are_beside_the_own_ones_and_marked(done):
    rows = table(done)
    second = rows["DARTS (second order) + cutout"]  # Liu et al., ICLR 2019, table 1: 2.76 +- 0.09, 3.3 M, 4 GPU days
    assert (second["published"], second["operations"], second["parameters"]) == ("yes", "7", "3300000")
    assert float(second["test_mean"]) == pytest.approx(0.9724)
    assert float(second["test_std"]) == pytest.approx(0.0009)
    assert float(second["search_seconds"]) == 4 * 86_400
    shown = (done / "table.md").read_text()
    assert "| DARTS (second order) + cutout | 2.76 ± 0.09 |  | 3.3 | 4 GPU | 7 | gradient-based, published |" in shown


def test_rows_of_another_protocol_stand_in_the_same_table(done, images, tmp_path):
    folder = Path(shutil.copytree(done, tmp_path / "run"))
    rows = json.loads((done / "rows.json").read_text())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "rows.json").write_text(json.dumps([rows[0] | {"name": "another method"}]))
    finished(folder, *SMALL, f"data.path={images}", "resume=true", f"task.beside=[{tmp_path / 'other'}]")
    found = table(folder)
    differing = {key for key, value in found["another method"].items() if value != found[rows[0]["name"]][key]}
    assert differing == {"architecture"}


def test_other_tasks_read_the_parts_as_they_read_any_run(done, images, tmp_path, summary_of):
    data = f"data.path={images}"
    tested = summary_of(tmp_path / "test", "task=test", f"run={done / 'final' / 'search' / '1'}", data, "hardware=cpu")
    final = json.loads((done / "final" / "search" / "1" / "summary.json").read_text())
    assert tested["test/accuracy"] == final["test/accuracy"]
    derived = summary_of(tmp_path / "derive", "task=derive", f"run={done / 'searches' / '1'}", data)
    assert derived["genotype"] == json.loads((done / "searches" / "1" / "summary.json").read_text())["genotype"]
    collected = summary_of(
        tmp_path / "collect", "task=collect", f"runs=[{done / 'searches'},{done / 'choice'},{done / 'final'}]"
    )
    assert (collected["runs"], collected["finished"]) == (2 + 7 + 6, 15)
    rows = list(csv.DictReader((tmp_path / "collect" / "runs.csv").read_text().splitlines()))
    finals = [row for row in rows if row["run"].endswith(("final/search/0", "final/search/1"))]
    scores = [float(row["test/accuracy"]) for row in finals]
    assert [float(row["test/accuracy mean"]) for row in finals] == pytest.approx([np.mean(scores)] * 2)
    assert summary_of(tmp_path / "one", "task=collect", f"runs={done}")["runs"] == 1


@pytest.mark.slow
def test_a_protocol_on_text_has_perplexities_and_its_test_text_decides_nothing(tmp_path):
    small = ("task=protocol", "search=rnn", "search.units=6", "search.nodes=2", "search.batch_size=8", "order=first")
    small += ("search.epochs=1", "train.units=6", "train.batch_size=8", "train.epochs=1", "hardware=cpu", "data=text")
    small += ("task.searches=1", "task.choice_epochs=1", "task.random=2", "task.genotypes=[darts_v2_rnn]")
    found = []
    for name, test in (("plain", "w1 w2 w3"), ("poisoned", "w9 w8 w7 w7")):
        text = write(tmp_path / f"{name}.txt", test=test)
        found.append(finished(tmp_path / name, *small, f"data.path={text}"))
    plain, poisoned = found
    assert summaries(plain, "searches", "choice") == summaries(poisoned, "searches", "choice")
    assert summaries(plain, "final") != summaries(poisoned, "final")
    rows, parts = table(plain), summaries(plain)
    scores = [-parts[f"choice/random/{number}"]["score"] for number in range(2)]
    assert float(rows["random, best of 2"]["valid_best"]) == pytest.approx(min(scores))
    best = int(np.argmin(scores))
    assert parts["final/random/0"]["genotype"] == parts[f"choice/random/{best}"]["genotype"]
    assert float(rows["darts_v2_rnn"]["test_mean"]) == parts["final/darts_v2_rnn/0"]["test/perplexity"]
    assert rows["DARTS (second order)"]["test_mean"] == "55.7"  # Liu et al., ICLR 2019, table 2


@pytest.mark.slow
def test_the_experiment_on_the_bundled_digits_finds_cells_that_are_worth_more_than_chance(tmp_path):
    smaller = ("task.searches=2", "task.choice_epochs=2", "task.random=2", "search.epochs=3", "train.epochs=5")
    folder = finished(tmp_path / "run", "experiment=protocol_digits", *smaller, "hardware=cpu")
    rows = table(folder)
    assert len(rows) == 3
    for row in rows.values():
        assert float(row["test_low"]) > 0.5  # of ten classes
        assert int(row["test_samples"]) == 355
    assert rows["darts, first order, magnitude"]["searched"] == "yes"


def test_a_protocol_is_a_run_of_wandb_with_its_whole_table(done, images, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(done, again)
    finished(again, *SMALL, f"data.path={images}", "logger=wandb", "resume=true")
    (run,) = offline_runs(again)  # no part is repeated
    assert (run.run.run_group, run.run.job_type, run.exit_code) == ("again", "protocol", 0)
    (path,) = run.values("protocol/table.path").values()
    logged = json.loads(run.file(path).read_text())
    with (again / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert logged["columns"] == list(rows[0])
    column = logged["columns"].index("valid_mean")
    assert [line[column] for line in logged["data"]] == [
        float(row["valid_mean"]) if row["valid_mean"] else None for row in rows
    ]
