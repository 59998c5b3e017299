"""Whole searches on small real images: reproducible, continued after a stop, blind to the test split."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from darts_pl.callbacks import LastCheckpoint
from darts_pl.cli import main
from darts_pl.records.run_ending import read_warnings

SMALL = ["data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=2", "search.batch_size=240"]
SMALL += ["search.candidates=[none,skip_connect,max_pool_3x3,sep_conv_3x3]"]


class Stopped(BaseException):
    """Stands for a kill: nothing of ours handles it."""


def search(folder: Path, *arguments: str) -> dict[str, np.ndarray]:
    """Run a small search that must succeed; returns its alphas."""
    assert main([*SMALL, "search.epochs=2", *arguments, f"hydra.run.dir={folder}"]) == 0
    with np.load(folder / "alphas.npz") as alphas:
        return dict(alphas)


def rows_without_times(folder: Path) -> list[list[str]]:
    lines = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    keep = [index for index, name in enumerate(lines[0]) if name != "seconds"]
    return [[line[index] for index in keep] for line in lines]


@pytest.fixture(scope="module", params=["first", pytest.param("second", marks=pytest.mark.slow)])
def order(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def whole(order: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that was never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    search(folder, f"order={order}")
    return folder


def alphas_of(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "alphas.npz") as alphas:
        return dict(alphas)


def test_two_runs_with_one_seed_end_with_bitwise_equal_alphas_and_different_seeds_do_not(
    order: str, whole: Path, tmp_path: Path
) -> None:
    one, again = alphas_of(whole), search(tmp_path / "again", f"order={order}")
    other = search(tmp_path / "other", f"order={order}", "seed=4")
    for name in ("normal", "reduce"):
        assert np.array_equal(one[name], again[name])
        assert not np.array_equal(one[name][0], one[name][-1])
        assert not np.array_equal(one[name], other[name])
    assert rows_without_times(whole) == rows_without_times(tmp_path / "again")


def stop_after_first_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    save = LastCheckpoint.on_train_epoch_end

    def save_and_stop(self: LastCheckpoint, *arguments: Any) -> None:
        save(self, *arguments)
        raise Stopped

    monkeypatch.setattr(LastCheckpoint, "on_train_epoch_end", save_and_stop)


def test_a_search_continued_after_a_stop_ends_as_one_never_stopped(
    order: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Stopped):
            search(tmp_path / "parts", f"order={order}")
    continued = search(tmp_path / "parts", f"order={order}", "resume=true")
    for name in ("normal", "reduce"):
        assert np.array_equal(alphas_of(whole)[name], continued[name])
    assert rows_without_times(whole) == rows_without_times(tmp_path / "parts")
    weights = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (whole, tmp_path / "parts")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_resuming_a_finished_search_keeps_its_scores_and_fewer_epochs_are_refused(
    order: str, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    search(folder, f"order={order}", "resume=true")
    first, again = (json.loads((one / "summary.json").read_text()) | {"seconds": 0} for one in (whole, folder))
    assert first == again
    assert "search/valid_accuracy" in again
    capsys.readouterr()
    assert main([*SMALL, f"order={order}", "search.epochs=1", "resume=true", f"hydra.run.dir={folder}"]) == 2
    assert "search.epochs=2" in capsys.readouterr().err


def test_a_damaged_or_foreign_checkpoint_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path, "order=first", "search.epochs=1")
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    whole = checkpoint.read_bytes()
    for before, arguments in ((whole, ["search.init_channels=4"]), (whole[:1000], [])):
        checkpoint.write_bytes(before)
        capsys.readouterr()
        command = [*SMALL, "order=first", "search.epochs=2", "resume=true", *arguments]
        status = main([*command, f"hydra.run.dir={tmp_path}"])
        error = capsys.readouterr().err
        assert status == 2, error
        assert "last.ckpt" in error
        assert "Traceback" not in error
        assert checkpoint.read_bytes() == before


def test_a_diverged_search_is_refused_without_a_genotype(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*SMALL, "order=first", "search.epochs=1", "search.weights.lr=1e9", f"hydra.run.dir={tmp_path}"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics warns of the values that are not finite
        assert main(command) == 2
    assert "diverged in epoch 1" in capsys.readouterr().err
    assert not (tmp_path / "genotype.json").exists()


@pytest.mark.slow
def test_a_retraining_with_drop_path_continued_after_a_stop_ends_as_one_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["task=retrain", "data=digits", "genotype=darts_v1", "train.layers=3", "train.init_channels=4"]
    command += ["train.epochs=2", "train.cutout=0", "train.auxiliary_weight=0", "train.drop_path=0.5"]
    assert main([*command, f"hydra.run.dir={tmp_path / 'whole'}"]) == 0
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Stopped):
            main([*command, f"hydra.run.dir={tmp_path / 'parts'}"])
    assert main([*command, f"hydra.run.dir={tmp_path / 'parts'}", "resume=true"]) == 0
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "parts")]
    for summary in summaries:
        summary.pop("seconds")
    assert summaries[0] == summaries[1]


def test_a_search_does_not_depend_on_the_test_split(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    arrays = {
        "x_train": draw.integers(0, 256, (256, 8, 8), dtype=np.uint8),
        "y_train": np.arange(256) % 4,
        "x_test": draw.integers(0, 256, (8, 8, 8), dtype=np.uint8),
        "y_test": np.arange(8) % 4,
    }
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez(tmp_path / "b.npz", **arrays | {"x_test": 255 - arrays["x_test"], "y_test": arrays["y_test"][::-1]})
    a, b = (
        search(
            tmp_path / name,
            "data=npz",
            f"data.path={tmp_path / name}.npz",
            "order=first",
            "search.epochs=1",
            "search.batch_size=64",
        )
        for name in ("a", "b")
    )
    assert np.array_equal(a["normal"], b["normal"])


def test_a_candidate_of_the_user_takes_part_without_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_ops.py").write_text(
        "from torch import nn\n"
        "from darts_pl.ops import candidate\n\n\n"
        "@candidate('plain_conv')\n"
        "def plain_conv(channels, stride, affine):\n"
        "    norm = nn.BatchNorm2d(channels, affine=affine)\n"
        "    return nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 3, stride, 1, bias=False), norm)\n"
    )
    monkeypatch.chdir(tmp_path)
    search(tmp_path / "run", "imports=[my_ops]", "search.candidates=[none,plain_conv]", "search.epochs=1")
    genotype = json.loads((tmp_path / "run" / "genotype.json").read_text())
    assert {operation for operation, _ in genotype["normal"]} == {"plain_conv"}
    retrain = ["task=retrain", "data=digits", f"genotype={tmp_path / 'run'}", "imports=[my_ops]", "train.epochs=1"]
    small = ["train.layers=3", "train.init_channels=4", "train.cutout=0", "train.auxiliary_weight=0"]
    assert main([*retrain, *small, f"hydra.run.dir={tmp_path / 'final'}"]) == 0
    assert "test/accuracy" in json.loads((tmp_path / "final" / "summary.json").read_text())


@pytest.mark.slow
def test_the_quickstart_reads_digits_better_than_it_promises_and_warns_only_where_random_cells_are_as_good(
    tmp_path: Path,
) -> None:
    assert main(["experiment=quickstart", "task.compare_random=1", f"hydra.run.dir={tmp_path}"]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["test/accuracy"] >= 0.975
    assert "random/test_accuracy" in summary
    assert summary["search/entropy_normal"] < np.log(8) - 0.1  # its alphas decide
    as_good = summary["random/conclusion"].startswith("This search does not beat a random cell")
    assert [one["name"] for one in read_warnings(tmp_path)] == (["as_random"] if as_good else [])
