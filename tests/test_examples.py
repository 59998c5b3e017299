"""The examples of docs/extending.md and the tutorials: parts of one's own, from a folder and as a package."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darts_pl.callbacks import LastCheckpoint
from darts_pl.cli import main
from darts_pl.genotype import KINDS, parse
from darts_pl.ops import CANDIDATES
from darts_pl.tasks import TASKS
from tests.registrations import forgotten_after

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
MODULES = ("own_method", "own_operation", "own_rule", "own_space", "own_strategy", "own_task")
assert TASKS  # importing the tasks declares the sections

SMALL = ["data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=1", "search.batch_size=240"]
SMALL += ["search.candidates=[skip_connect,max_pool_3x3]", "search.epochs=2", "order=first", "hardware.threads=1"]


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers and imports is forgotten after it."""
    with forgotten_after(
        monkeypatch, (KINDS, CANDIDATES), lambda name: name.split(".")[0] in (*MODULES, "their_parts")
    ):
        yield


@pytest.fixture(params=["folder", pytest.param("package", marks=pytest.mark.slow)])
def own(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments with which the examples are found: a folder of the user, or an installed package without any."""
    monkeypatch.chdir(tmp_path)
    if request.param == "folder":
        for module in MODULES:
            shutil.copy(EXAMPLES / f"{module}.py", tmp_path)
        shutil.copytree(EXAMPLES / "conf", tmp_path / "conf")
        importlib.invalidate_caches()
        return ["--config-dir", str(tmp_path / "conf"), f"imports=[{','.join(MODULES)}]"]
    package = tmp_path / "site" / "their_parts"
    package.mkdir(parents=True)
    for module in MODULES:
        shutil.copy(EXAMPLES / f"{module}.py", package)
    (package / "__init__.py").write_text("".join(f"import their_parts.{module}\n" for module in MODULES))
    shutil.copytree(EXAMPLES / "conf", package / "conf")
    info = tmp_path / "site" / "their_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[darts_pl.plugins]\ntheirs = their_parts\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    return []


def run(own: list[str], folder: Path, *arguments: str) -> dict[str, object]:
    assert main([*own, *arguments, f"hydra.run.dir={folder}"]) == 0
    return json.loads((folder / "summary.json").read_text())


class Killed(BaseException):
    """Stands for a kill: nothing of ours handles it."""


def test_a_method_of_ones_own_searches_resumes_bitwise_and_learns_its_second_parameter(
    own: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(own, tmp_path / "whole", "method=own_method", *SMALL)
    save = LastCheckpoint.on_train_epoch_end

    def save_and_die(self: LastCheckpoint, trainer: Any, module: Any) -> None:
        save(self, trainer, module)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_epoch_end", save_and_die)
        with pytest.raises(Killed):
            run(own, tmp_path / "parts", "method=own_method", *SMALL)
    summary = run(own, tmp_path / "parts", "method=own_method", *SMALL, "resume=true")
    with np.load(tmp_path / "whole/alphas.npz") as whole, np.load(tmp_path / "parts/alphas.npz") as parts:
        assert {name for name in whole.files if not name.startswith(("edges.", "candidates."))} == {
            *("normal", "reduce", "relaxation.sharpness")
        }
        assert all(np.array_equal(whole[name], parts[name]) for name in whole.files)
        assert whole["relaxation.sharpness"].shape == (3,)
        assert whole["relaxation.sharpness"][0] == 0 != whole["relaxation.sharpness"][-1]
    assert parse(str(summary["genotype"])).kind == "cnn"


def test_swapping_a_part_of_a_method_leaves_nothing_of_it_behind(own: list[str], tmp_path: Path) -> None:
    run(own, tmp_path / "swapped", "method=own_method", "relaxation=softmax", "regulariser=none", *SMALL)
    run(own, tmp_path / "plain", *SMALL)
    with np.load(tmp_path / "swapped/alphas.npz") as swapped, np.load(tmp_path / "plain/alphas.npz") as plain:
        assert set(swapped.files) == set(plain.files)
        assert "relaxation.sharpness" not in swapped.files
        assert all(np.array_equal(swapped[name], plain[name]) for name in plain.files)


def test_a_space_of_ones_own_is_searched_in_every_order_and_a_rule_of_ones_own_derives_its_cell(
    own: list[str], tmp_path: Path
) -> None:
    for order in ("first", "second", "second_exact"):
        folder = tmp_path / order
        arguments = ["search=chain", "select=duel", f"order={order}", "search.epochs=1", "hardware.threads=1"]
        summary = run(own, folder, *arguments)
        decided = json.loads((folder / "selection.json").read_text())
        assert set(decided) == {"settings", *(f"genotype {index}" for index in range(4))}
        genotype = parse(str(summary["genotype"]))
        assert genotype.kind == "chain"
        assert len(genotype.cells["chain"].nodes) == 3
        assert float(str(summary["search/valid_accuracy"])) > 0.2  # ten classes: chance is 0.1


@pytest.mark.parametrize("own", ["folder", "package"], indirect=True)
def test_a_task_of_ones_own_reads_a_run(own: list[str], tmp_path: Path) -> None:
    run(own, tmp_path / "search", *SMALL)
    summary = run(own, tmp_path / "task", "task=steadiness", f"run={tmp_path / 'search'}")
    with np.load(tmp_path / "search/alphas.npz") as alphas:
        strongest = alphas["normal"].argmax(2)  # [3 rows, edges]; since=0.5 is the row after the first epoch
    assert summary["steady/normal"] == (strongest[1] == strongest[2]).mean()


@pytest.mark.parametrize("task", ["task=retrain", "task=search_and_retrain"])
def test_a_space_without_a_final_network_is_refused_before_anything_is_trained(
    task: str, own: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genotype = "Genotype(chain=[[('relu', 0)], [('tanh', 1)], [('identity', 2)]], chain_concat=[3])"
    (tmp_path / "genotype.txt").write_text(genotype)
    given = [f"genotype={tmp_path / 'genotype.txt'}"] if task == "task=retrain" else []
    arguments = [*own, task, "search=chain", *given, f"hydra.run.dir={tmp_path / 'refused'}"]
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert "error: search.space=chain has no network to train\n" in shown.err
    assert "search 1/" not in shown.out


@pytest.mark.parametrize("own", ["folder", "package"], indirect=True)
def test_a_value_outside_the_range_of_ones_own_setting_is_refused(
    own: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for argument, message in (
        ("relaxation.hottest=0", "relaxation.hottest=0.0: must be above 0"),
        ("+relaxation.hotest=2", "unknown key relaxation.hotest; did you mean relaxation.hottest?"),
    ):
        arguments = [*own, "method=own_method", *SMALL, argument, f"hydra.run.dir={tmp_path / 'refused'}"]
        assert main(arguments) == 2
        assert message in capsys.readouterr().err


def test_an_operation_of_ones_own_is_searched_and_its_cell_is_trained(own: list[str], tmp_path: Path) -> None:
    candidates = "search.candidates=[skip_connect,gated_conv_3x3]"
    run(own, tmp_path / "search", *SMALL, candidates, "search.epochs=1")
    genotype = "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2], "
    genotype += "reduce=[('gated_conv_3x3', 0), ('gated_conv_3x3', 1)], reduce_concat=[2])"
    sizes = ["data=digits", "train.init_channels=2", "train.epochs=1", "hardware.threads=1", "train.cutout=0"]
    counts = []
    for name in ("gated_conv_3x3", "max_pool_3x3"):
        (tmp_path / "genotype.txt").write_text(genotype.replace("gated_conv_3x3", name))
        arguments = ["task=retrain", f"genotype={tmp_path / 'genotype.txt'}", "train.layers=1", *sizes]
        counts.append(run(own, tmp_path / name, *arguments)["parameters"])
    # The only cell is a reduction cell of twice as many channels. Pooling has no parameters, a gated convolution has
    # those of a 3x3 convolution, of the affine part of its BatchNorm, and of a 1x1 convolution with bias.
    channels = 4
    assert counts[0] - counts[1] == 2 * (9 * channels**2 + 2 * channels + channels**2 + channels)
    chosen = parse(str(json.loads((tmp_path / "search/summary.json").read_text())["genotype"]))
    names = {pair.operation for cell in chosen.cells.values() for pair in cell.pairs}
    assert names <= {"skip_connect", "gated_conv_3x3"}


def test_a_strategy_of_ones_own_beats_the_average_cell_and_continues_with_the_same_questions(
    own: list[str], tmp_path: Path
) -> None:
    command = ["task=strategy", "strategy=climb", "search=nasbench201"]
    summary = run(own, tmp_path / "whole", *command, "budget.evaluations=60")
    run(own, tmp_path / "parts", *command, "budget.evaluations=20")
    run(own, tmp_path / "parts", *command, "budget.evaluations=60", "resume=true")
    asked = [
        [json.loads(line)["integers"] for line in (tmp_path / name / "history.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    assert asked[0] == asked[1]
    assert len(asked[0]) == 60
    assert float(str(summary["table/cifar10_test"])) > 87.06  # the mean of all cells of the benchmark's table
