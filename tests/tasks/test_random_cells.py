"""task=search_and_retrain with several random cells: what is trained, written and printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from darts_pl.cli import main
from darts_pl.genotype import parse
from darts_pl.report import accuracy_interval

SMALL = ["task=search_and_retrain", "data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=1"]
SMALL += ["search.candidates=[skip_connect,max_pool_3x3,sep_conv_3x3]", "search.epochs=1", "search.batch_size=240"]
SMALL += ["order=first", "train.layers=3", "train.init_channels=4", "train.epochs=1", "train.batch_size=240"]
SMALL += ["train.cutout=0", "train.auxiliary_weight=0", "train.drop_path=0", "hardware.threads=1"]
#: Images in the test split of the digits.
IMAGES = 355


def test_random_cells_are_trained_and_printed_with_intervals_mean_deviation_and_a_conclusion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = [*SMALL, "task.compare_random=2", f"hydra.run.dir={tmp_path}"]
    assert main(run) == 0
    printed = capsys.readouterr().out
    summary = json.loads((tmp_path / "summary.json").read_text())
    parts = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("random", "random_2")]
    accuracies = [part["test/accuracy"] for part in parts]
    assert [summary[f"random/test_accuracy_{number}"] for number in (1, 2)] == accuracies
    assert summary["random/test_accuracy"] == pytest.approx(np.mean(accuracies), rel=1e-12)
    assert summary["random/test_accuracy_std"] == pytest.approx(np.std(accuracies, ddof=1), rel=1e-9, abs=1e-12)
    genotypes = {summary[f"random/genotype_{number}"] for number in (1, 2)}
    assert genotypes == {part["genotype"] for part in parts}
    assert all(parse(text).kind == "cnn" for text in genotypes)
    assert len(genotypes) == 2
    for value in (summary["test/accuracy"], *accuracies):
        low, high = accuracy_interval(value, IMAGES)
        assert f"{value:.4f}  (95 % interval {low:.4f} to {high:.4f})" in printed
    assert f"{np.mean(accuracies):.4f} ± {np.std(accuracies, ddof=1):.4f}" in printed
    assert summary["random/conclusion"] in " ".join(printed.split())
    assert "were drawn from the same search space and trained in the same way" in " ".join(printed.split())
    assert "on another one" in printed  # the numbers differ between machines

    assert main([*run, "task.compare_random=false", "overwrite=true", "debug=true"]) == 0
    assert not (tmp_path / "random_2").exists()  # what the replaced run wrote
    assert "random/conclusion" not in json.loads((tmp_path / "summary.json").read_text())


def test_the_stored_statistics_give_the_scores_that_they_gave_before_there_was_a_choice(tmp_path: Path) -> None:
    small = ["data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=2", "search.batch_size=240"]
    small += ["search.candidates=[none,skip_connect,max_pool_3x3,sep_conv_3x3]", "search.epochs=1", "order=first"]
    found = {}
    for statistics in ("stored", "batch"):
        folder = tmp_path / statistics
        assert main([*small, f"search.valid_statistics={statistics}", f"hydra.run.dir={folder}"]) == 0
        lines = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
        found[statistics] = {name: [float(row[i]) for row in lines[1:]] for i, name in enumerate(lines[0])}
    # Recorded with the program as it was before `search.valid_statistics`.
    assert found["stored"]["search/valid_loss"] == pytest.approx([2.329047860451115], rel=1e-4)
    assert found["stored"]["search/valid_accuracy"] == pytest.approx([0.09847433865070343], abs=2 / 721)
    assert found["batch"]["search/valid_loss"] != pytest.approx(found["stored"]["search/valid_loss"], rel=1e-3)
    assert found["batch"]["search/train_loss"] == found["stored"]["search/train_loss"]  # a score leaves no trace
    assert np.load(tmp_path / "batch/alphas.npz")["normal"].tobytes() == (
        np.load(tmp_path / "stored/alphas.npz")["normal"].tobytes()
    )


def test_a_batch_that_is_larger_than_the_valid_half_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["data=digits", "search.train_portion=0.9", "search.batch_size=150", f"hydra.run.dir={tmp_path}"]
    assert main(command) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: search.batch_size=150 is more than the 145 images of the valid half (search.train_portion=0.9 of 1442);"
        " lower it to 145 or less"
    ]
