"""task=protocol: its stages, their parts, and that only the last one reads the test split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darts_pl.cli import main
from darts_pl.problems import image_data
from tests.tasks.conftest import finished
from tests.tasks.protocol.parts import SMALL, results, summaries, table


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


def test_a_protocol_with_observers_goes_on_and_refuses_other_settings_of_them(images, tmp_path, capsys):
    command = [*SMALL, f"data.path={images}", "task.stage=search", "task.searches=1", "method=r_darts"]
    folder = finished(tmp_path / "run", *command, "order=first")
    written = folder / "searches" / "0" / "summary.json"
    before = written.stat().st_mtime_ns
    finished(folder, *command, "order=first", "resume=true")
    assert written.stat().st_mtime_ns == before
    other = [*command, "order=first", "observers.early_stop.factor=2", "resume=true", f"hydra.run.dir={folder}"]
    assert main(other) == 2
    assert "observers.early_stop.factor=1.3, and not observers.early_stop.factor=2" in capsys.readouterr().err


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


def test_what_cannot_be_run_is_refused_in_one_line(images, tmp_path, refused):
    with np.load(images) as found:
        arrays = dict(found)
    small = (*SMALL, f"data.path={images}")
    for arguments, words in (
        (("task.searches=0",), "task.searches=0: must be at least 1"),
        (("task.finals=0",), "task.finals=0: must be at least 1"),
        (("task.choice_epochs=0",), "task.choice_epochs=0: must be at least 1"),
        (("task.random=-1",), "task.random=-1: must be at least 0"),
        (("task.random=0", "task.random_same_budget=true"), "task.random_same_budget=True: needs task.random=1"),
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


def test_random_search_with_the_same_budget_ends_with_the_cell_that_uses_it_up(done, images, tmp_path):
    folder = Path(shutil.copytree(done, tmp_path / "run"))
    shutil.rmtree(folder / "final" / "random")

    def spend(pattern: str, seconds: float) -> None:
        for path in folder.glob(f"{pattern}/summary.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": seconds}))

    spend("searches/*", 1000.0)
    spend("choice/search/*", 500.0)  # with the searches 3,000 seconds
    spend("choice/random/*", 999.999)  # of which three cells leave three milliseconds for a fourth one
    command = (*SMALL, f"data.path={images}", "task.random=1", "task.random_same_budget=true")
    finished(folder, *command, "resume=true")
    choice = {path.name: json.loads((path / "summary.json").read_text()) for path in folder.glob("choice/random/*")}
    assert sorted(choice) == ["0", "1", "2", "3"]
    assert choice["3"]["seed"] == 3
    best = max(sorted(choice), key=lambda number: choice[number]["score"])
    assert json.loads((folder / "final/random/0/summary.json").read_text())["genotype"] == choice[best]["genotype"]
    row = table(folder)["random, best of 4"]
    assert float(row["search_seconds"]) >= 3000 > float(row["search_seconds"]) - choice["3"]["seconds"]
    assert json.loads((folder / "protocol.json").read_text())["parts"]["choice"] == 2 + 2 + 4


def test_a_strategy_that_does_not_fit_the_stages_is_refused_before_the_first_search(images, tmp_path, refused):
    stages = ("stages=deepening", "stages.keep=[2]", "stages.added_layers=[1]", "stages.warmup_epochs=0")
    own = ("task.strategies=[random]", "task.rules=[]", "task.rule_settings=null", "search.epochs=2")
    error = refused(*SMALL, *own, *stages, f"data.path={images}")
    assert "stages=deepening: evaluator=shared_weights trains one supernet" in error
    assert not (tmp_path / "refused" / "searches").exists()


@pytest.mark.slow
def test_a_strategy_with_shared_weights_is_a_row_with_as_many_steps_as_the_searches(done, images, tmp_path):
    own = ("task.strategies=[random]", "task.strategy_evaluations=3", "task.rules=[]", "task.rule_settings=null")
    folder = Path(shutil.copytree(done, tmp_path / "run"))
    for stage in ("derived", "choice/shared_weights", "final/shared_weights"):
        shutil.rmtree(folder / stage)
    finished(folder, *SMALL, *own, f"data.path={images}", "resume=true")
    found = summaries(folder)
    rows = {row["name"]: row for row in json.loads((folder / "rows.json").read_text())}
    row = rows["random with shared weights, best of 3"]
    searched = next(one for name, one in rows.items() if "first order" in name or "second order" in name)
    assert row["method"] == "without gradients, shared weights"
    assert row["search"]["steps"] == searched["search"]["steps"]
    for number in range(2):
        search = folder / "searches" / "random_shared" / str(number)
        ranking = [json.loads(line) for line in (search / "history.jsonl").read_text().splitlines()]
        assert len(ranking) == 3
        assert (
            found[f"choice/random_shared/{number}"]["genotype"] == found[f"searches/random_shared/{number}"]["genotype"]
        )
    best = max(range(2), key=lambda number: found[f"choice/random_shared/{number}"]["score"])
    assert {found[f"final/random_shared/{number}"]["genotype"] for number in range(2)} == {
        found[f"choice/random_shared/{best}"]["genotype"]
    }
    assert {part: one for part, one in found.items() if "random_shared" not in part} == {
        part: one for part, one in summaries(done).items() if "shared_weights" not in part
    }
