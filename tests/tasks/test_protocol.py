"""task=protocol: its stages, its table, and that only the last stage reads the test split."""

from __future__ import annotations

import csv
import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from darts_pl.callbacks import LastCheckpoint
from darts_pl.cli import main
from darts_pl.problems import image_data
from darts_pl.records.claims.lock import lock_folder
from darts_pl.selection import Trials
from darts_pl.tasks.protocol import parts as protocol_parts
from tests.tasks.conftest import csv_rows, finished
from tests.tasks.test_text import write
from tests.tiny_sweep import TINY, write_images

ROOT = Path(__file__).parents[2]
SMALL = (
    *("task=protocol", *TINY, "search.alphas.lr=1", "hardware=cpu", "hardware.threads=1"),
    *("train.layers=3", "train.init_channels=2", "train.epochs=1", "train.batch_size=10", "train.cutout=0"),
    *("train.auxiliary_weight=0", "train.lr=0.3", "task.searches=2", "task.choice_epochs=2", "task.random=3"),
    *("task.rules=[shared_weights]", "task.rule_settings={shared_weights: {samples: 3}}", "task.finals=2"),
)
#: Of a summary, what differs between two runs with the same result.
TIMES = ("seconds",)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images") / "tiny.npz")


@pytest.fixture(scope="module")
def done(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A protocol that was never stopped."""
    return finished(tmp_path_factory.mktemp("done") / "run", *SMALL, f"data.path={images}")


def summaries(folder: Path, *stages: str) -> dict[str, dict[str, Any]]:
    """By part, what it found."""
    found = {}
    for stage in stages or ("searches", "derived", "choice", "final"):
        for path in sorted((folder / stage).rglob("summary.json")):
            summary = json.loads(path.read_text())
            found[str(path.parent.relative_to(folder))] = {k: v for k, v in summary.items() if k not in (*TIMES, "run")}
    return found


def table(folder: Path) -> dict[str, dict[str, str]]:
    return {row["architecture"]: row for row in csv_rows(folder / "table.csv")}


def test_every_stage_has_its_parts_and_the_best_cell_on_the_valid_split_is_trained_fully(done):
    assert list(summaries(done)) == [
        *("searches/0", "searches/1", "derived/shared_weights/0", "derived/shared_weights/1"),
        *("choice/random/0", "choice/random/1", "choice/random/2", "choice/search/0", "choice/search/1"),
        *("choice/shared_weights/0", "choice/shared_weights/1"),
        *("final/random/0", "final/random/1", "final/search/0", "final/search/1"),
        *("final/shared_weights/0", "final/shared_weights/1"),
    ]
    found = summaries(done)
    for row, count in (("search", 2), ("shared_weights", 2), ("random", 3)):
        choice = [found[f"choice/{row}/{number}"] for number in range(count)]
        best = int(np.argmax([one["score"] for one in choice]))
        finals = [found[f"final/{row}/{number}"] for number in range(2)]
        assert {one["genotype"] for one in finals} == {choice[best]["genotype"]}
        assert [one["seed"] for one in finals] == [0, 1]
        assert [one["seed"] for one in choice] == list(range(count))
    for number in range(2):
        assert found[f"choice/search/{number}"]["genotype"] == found[f"searches/{number}"]["genotype"]
        derived = found[f"derived/shared_weights/{number}"]
        assert found[f"choice/shared_weights/{number}"]["genotype"] == derived["genotype"]


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


def test_the_test_split_decides_nothing_and_changes_only_the_last_scores(done, images, tmp_path):
    with np.load(images) as found:
        arrays = dict(found)
    arrays["x_test"] = 255 - arrays["x_test"]
    arrays["y_test"] = (arrays["y_test"] + 1) % 4
    np.savez(tmp_path / "poisoned.npz", **arrays)
    folder = finished(tmp_path / "run", *SMALL, f"data.path={tmp_path / 'poisoned.npz'}")
    early = ("searches", "derived", "choice")
    assert summaries(folder, *early) == summaries(done, *early)
    ours, theirs = summaries(folder, "final"), summaries(done, "final")
    assert {part: one["genotype"] for part, one in ours.items()} == {
        part: one["genotype"] for part, one in theirs.items()
    }
    assert [one["test/loss"] for one in ours.values()] != [one["test/loss"] for one in theirs.values()]


@pytest.mark.slow
def test_stages_run_as_commands_of_their_own_and_none_but_the_last_builds_a_test_split(
    done, images, tmp_path, monkeypatch, refused
):
    stages = tmp_path / "stages"
    command = (*SMALL, f"data.path={images}", f"task.folder={stages}")

    class Read(BaseException):
        """The test split was asked for."""

    class Poisoned(image_data.RetrainImages):
        def __init__(self, *arguments: Any) -> None:
            raise Read

    assert "searches/0: is not finished; run task.stage=search first" in refused(*command, "task.stage=choice")
    with monkeypatch.context() as patch:
        patch.setattr(image_data, "RetrainImages", Poisoned)
        for number in (1, 0):
            only = ("task.stage=search", f"task.only=[{number}]")
            finished(tmp_path / f"search_{number}", *command, *only)
        for stage in ("derive", "choice"):
            finished(tmp_path / stage, *command, f"task.stage={stage}")
        with pytest.raises(Read):
            main([*command, f"hydra.run.dir={tmp_path / 'early'}"])
    finished(tmp_path / "all", *command)
    assert summaries(stages) == summaries(done)
    assert (stages / "table.md").read_bytes() == (tmp_path / "all" / "table.md").read_bytes()
    assert results(stages) == results(done)


def results(folder: Path) -> list[dict[str, Any]]:
    """The rows of the table without the seconds."""
    rows = json.loads((folder / "rows.json").read_text())
    for row in rows:
        for cost in ("search", "selection", "final"):
            row[cost].pop("seconds")
    return rows


def test_the_commands_that_come_next_name_what_is_there(done, images, tmp_path):
    def proposed(folder: Path) -> list[str]:
        return [one["command"] for one in json.loads((folder / "warnings.json").read_text())["next"]]

    retrain, collect = proposed(done)
    assert f"genotype={done} " in retrain
    assert collect.endswith(f"runs={done / 'searches'}")
    stages, one = tmp_path / "stages", tmp_path / "one"
    shutil.copytree(done, stages)
    shutil.rmtree(stages / "final")
    finished(one, *SMALL, f"data.path={images}", f"task.folder={stages}", "task.stage=choice")
    assert proposed(one) == [f"python run.py task=collect runs={stages / 'searches'}"]


@pytest.mark.slow
def test_the_parts_run_side_by_side_in_a_sweep(done, images, tmp_path):
    stages = tmp_path / "stages"
    command = (*SMALL, f"data.path={images}", f"task.folder={stages}", "task.stage=search", "task.only=[0],[1]")
    assert main(["-m", *command, f"hydra.sweep.dir={tmp_path / 'sweep'}"]) == 0
    assert summaries(stages) == summaries(done, "searches")


@pytest.mark.slow
def test_the_parts_run_side_by_side_on_the_processes_of_joblib(done, images, tmp_path):
    stages = tmp_path / "stages"
    command = (*SMALL, f"data.path={images}", f"task.folder={stages}")
    sweep = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    for stage in ("search", "derive", "choice"):
        more = (f"task.stage={stage}", "task.only=[0],[1]", f"hydra.sweep.dir={tmp_path / stage}")
        assert main(["-m", *command, *sweep, *more]) == 0
    assert results(finished(tmp_path / "all", *command) and stages) == results(done)


class Killed(BaseException):
    """Stands for a kill: nothing of ours handles it."""


def dying(method: Callable[..., Any], call: int) -> Callable[..., Any]:
    """`method`, after whose call number `call` the process dies."""
    calls = 0

    def run(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        found = method(*arguments, **named)
        calls += 1
        if calls == call:
            raise Killed
        return found

    return run


@pytest.mark.slow
def test_a_protocol_killed_in_every_stage_ends_as_one_never_stopped(done, images, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    command = [*SMALL, f"data.path={images}", f"hydra.run.dir={folder}"]
    places = (
        (LastCheckpoint, "on_train_epoch_end", 2, []),  # in the second search
        (Trials, "score", 2, ["resume=true"]),  # in the first derivation
        (LastCheckpoint, "on_train_epoch_end", 4, ["resume=true"]),  # in the middle of a short training
        (LastCheckpoint, "on_train_epoch_end", 12, ["resume=true"]),  # in a full training
    )
    stopped = []
    for owner, name, call, more in places:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, dying(getattr(owner, name), call))
            with pytest.raises(Killed):
                main([*command, *more])
        parts = [path.parents[1] for path in folder.rglob(".hydra/config.yaml") if path.parents[1] != folder]
        stopped.append([str(part.relative_to(folder)) for part in parts if not (part / "summary.json").is_file()])
    assert stopped == [["searches/1"], ["derived/shared_weights/0"], ["choice/search/1"], ["final/search/1"]]
    assert main([*command, "resume=true"]) == 0
    assert results(folder) == results(done)
    assert summaries(folder, "searches", "derived", "final") == summaries(done, "searches", "derived", "final")


@pytest.mark.slow
def test_two_processes_of_one_protocol_killed_at_random_moments_end_as_one_never_stopped(done, images, tmp_path):
    stages, draw = tmp_path / "stages", random.Random(0)
    command = [*SMALL, f"data.path={images}", f"task.folder={stages}"]

    def start(number: int) -> subprocess.Popen[bytes]:
        run = [sys.executable, str(ROOT / "run.py"), *command, f"hydra.run.dir={tmp_path / f'process_{number}'}"]
        return subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.DEVNULL)

    for number in (0, 2):
        before, processes = len(summaries(stages)), [start(number), start(number + 1)]
        while len(summaries(stages)) < before + 3:
            assert any(process.poll() is None for process in processes)
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 0.5))
        for process in processes:
            process.kill()
            process.wait()
    processes = [start(4), start(5)]
    assert [process.wait() for process in processes] == [0, 0]
    assert results(stages) == results(done)


def test_a_finished_protocol_repeats_nothing(done, images, tmp_path):
    folder = Path(shutil.copytree(done, tmp_path / "run"))
    before = {
        path: path.stat().st_mtime_ns
        for stage in ("searches", "choice", "final")
        for path in (folder / stage).rglob("*")
    }
    finished(folder, *SMALL, f"data.path={images}", "resume=true")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert results(folder) == results(done)


def test_rows_of_another_protocol_stand_in_the_same_table(done, images, tmp_path):
    folder = Path(shutil.copytree(done, tmp_path / "run"))
    rows = json.loads((done / "rows.json").read_text())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "rows.json").write_text(json.dumps([rows[0] | {"name": "another method"}]))
    finished(folder, *SMALL, f"data.path={images}", "resume=true", f"task.beside=[{tmp_path / 'other'}]")
    found = table(folder)
    differing = {key for key, value in found["another method"].items() if value != found[rows[0]["name"]][key]}
    assert differing == {"architecture"}


def test_a_part_of_another_process_is_waited_for_and_never_run_twice(done, images, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(done, tmp_path / "run"))
    part = folder / "searches" / "1"
    (part / "summary.json").unlink()
    lock = lock_folder(part)
    command = (*SMALL, f"data.path={images}", f"task.folder={folder}")
    summary = finished(tmp_path / "only", *command, "task.stage=search", "task.only=[1]") / "summary.json"
    assert json.loads(summary.read_text())["missing"] == 1
    monkeypatch.setattr(protocol_parts, "PAUSE", 0.05)

    def end_elsewhere() -> None:
        shutil.copy(done / "searches" / "1" / "summary.json", part / "summary.json")
        lock.release()

    timer = threading.Timer(0.5, end_elsewhere)
    timer.start()
    summary = finished(tmp_path / "all", *command) / "summary.json"
    timer.join()
    assert json.loads(summary.read_text())["missing"] == 0
    assert (part / "summary.json").read_bytes() == (done / "searches" / "1" / "summary.json").read_bytes()


def test_parts_with_other_settings_or_of_another_cell_are_refused(done, images, tmp_path, capsys):
    folder = Path(shutil.copytree(done, tmp_path / "run"))

    def message(*arguments: str) -> str:
        assert main([*SMALL, f"data.path={images}", f"hydra.run.dir={folder}", "resume=true", *arguments]) == 2
        return capsys.readouterr().err

    assert "searches/0: was made with search.epochs=1, and not search.epochs=3" in message("search.epochs=3")
    assert "was made with train.epochs=2, and not train.epochs=3" in message("task.choice_epochs=3")
    other = message("task.rule_settings.shared_weights.samples=4")
    assert "was made with select.samples=3, and not select.samples=4" in other
    assert "holds a run; add resume=true" in message("resume=false")
    path = folder / "choice" / "random" / "0" / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"score": 2.0}))
    changed = (
        json.loads(path.read_text())["genotype"]
        != json.loads((folder / "final" / "random" / "0" / "summary.json").read_text())["genotype"]
    )
    if changed:
        assert "final/random/0: was made with genotype=" in message()


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


def test_what_cannot_be_run_is_refused_in_one_line(images, tmp_path, refused):
    with np.load(images) as found:
        arrays = dict(found)
    small = (*SMALL, f"data.path={images}")
    for arguments, words in (
        (("task.searches=0",), "task.searches=0: must be at least 1"),
        (("task.finals=0",), "task.finals=0: must be at least 1"),
        (("task.choice_epochs=0",), "task.choice_epochs=0: must be at least 1"),
        (("task.random=-1",), "task.random=-1: must be at least 0"),
        (("task.rules=[shared_weigths]", "task.rule_settings=null"), "did you mean 'shared_weights'?"),
        (("task.rules=[magnitude]", "task.rule_settings=null"), "select=magnitude applies this rule already"),
        (("task.rules=[magnitude_within]", "task.rule_settings=null"), "give select.max_parameters"),
        (("+task.rule_settings.perturbation.fraction=1",), "perturbation is not in task.rules"),
        (
            ("+task.rule_settings.shared_weights.sample=3",),
            "task.rule_settings.shared_weights: select=shared_weights has no sample",
        ),
        (("task.rule_settings={perturbation: {}}",), "to add one give +task.rule_settings.KEY=VALUE"),
        (("task.genotypes=[darts_v3]",), "darts_v3"),
        (("task.genotypes=[darts_v2_rnn]",), "a recurrent genotype builds"),
        (("task.stage=finals",), "task.stage=finals: must be one of search, derive, choice, final"),
        (("task.only=[0]",), "task.only=[0]: needs task.stage"),
        ((f"task.beside=[{tmp_path}]",), "not the folder of a protocol"),
        (("task.choice_train={layer: 3}",), "task.choice_train: train=classifier has no layer"),
        (("hardware=ddp_cpu",), "a part runs in one process"),
        (("search.batch_size=21",), "search.batch_size=21"),
        (("train.batch_size=21",), "train.batch_size=21"),
    ):
        message = refused(*small, *arguments)
        assert words in message, (arguments, message)
    arrays["x_test"], arrays["y_test"] = arrays["x_test"][:0], arrays["y_test"][:0]
    np.savez(tmp_path / "no_test.npz", **arrays)
    message = refused(*SMALL, f"data.path={tmp_path / 'no_test.npz'}")
    assert "x_test is empty" in message
    assert not (tmp_path / "refused" / "searches").exists()


@pytest.mark.slow
def test_the_experiment_on_the_bundled_digits_finds_cells_that_are_worth_more_than_chance(tmp_path):
    folder = finished(tmp_path / "run", "experiment=protocol_digits", "hardware=cpu")
    rows = table(folder)
    assert len(rows) == 3
    for row in rows.values():
        assert float(row["test_low"]) > 0.5  # of ten classes
        assert int(row["test_samples"]) == 355
    assert rows["darts, first order, magnitude"]["searched"] == "yes"
