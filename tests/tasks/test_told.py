"""What small runs say, and what their folders say of themselves."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darts_pl.callbacks import LastCheckpoint
from darts_pl.cli import main
from darts_pl.genotype import read
from darts_pl.records import contents
from darts_pl.records.file_help import FILE_HELP, help_of
from darts_pl.records.run_ending import read_warnings
from darts_pl.report.graph import cell_graph

SEARCH = ["data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=2", "search.batch_size=80"]
SEARCH += ["search.candidates=[none,skip_connect,max_pool_3x3]", "order=first", "search.epochs=1"]


class Stopped(BaseException):
    """Stands for a kill: nothing of ours handles it."""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a small search, and what it printed."""
    import contextlib
    import io

    folder, printed = tmp_path_factory.mktemp("told") / "run", io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main([*SEARCH, f"hydra.run.dir={folder}"]) == 0
    return folder, printed.getvalue()


def test_a_search_says_what_it_is_before_its_first_line_and_how_long_it_takes(searched: tuple[Path, str]) -> None:
    before = searched[1].partition("\nsearch 1/1")[0].splitlines()
    entries = dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in before[1:])
    assert before[0] == "search"
    assert entries["data"] == "digits; images: 721 train, 721 valid, 355 test, which it does not read"
    assert entries["classes"].startswith("10: 0, 1, 2")
    assert entries["images"] == "8x8 pixels, greyscale"
    assert re.fullmatch(r"supernet with [\d,]+ weights and 30 alphas", entries["network"])  # 2 cells, 5 edges, 3 each
    assert entries["training"] == "1 epoch of 10 steps, batch size 80, darts, order first, seed 0"
    assert entries["device"] == "CPU, 1 thread, precision 32-true"
    assert entries["folder"] == str(searched[0])
    assert re.fullmatch(r".* for the remaining 4 steps, without validation", entries["time"])
    assert re.fullmatch(r"[\d,]+ MB on the CPU so far", entries["memory"])


def test_the_lines_of_a_run_fit_in_100_columns_but_for_genotype_and_commands(searched: tuple[Path, str]) -> None:
    wide = [line for line in searched[1].splitlines() if len(line) > 100]
    assert all(line.startswith(("genotype ", "  python run.py ", "  folder ", "folder ")) for line in wide), wide


def test_a_search_of_ten_steps_is_called_arbitrary_on_screen_in_the_summary_and_in_a_file(
    searched: tuple[Path, str],
) -> None:
    folder, printed = searched
    warning = read_warnings(folder)[0]
    assert (warning["name"], warning["part"]) == ("flat_entropy", "")
    assert warning["value"] < warning["limit"]
    assert json.loads((folder / "summary.json").read_text())["warning/flat_entropy"] == warning["message"]
    assert warning["message"] in " ".join(printed.split())
    assert warning["message"] in (folder / "README.md").read_text()


def test_the_page_of_a_run_names_every_file_the_command_and_what_comes_next(searched: tuple[Path, str]) -> None:
    folder, printed = searched
    page = (folder / "README.md").read_text()
    made = shlex.split(page.partition("Made by\n\n    ")[2].partition("\n")[0])
    assert made[:2] == ["python", "run.py"]
    assert sorted(made[2:]) == sorted([*SEARCH, f"hydra.run.dir={folder}"])
    listed = set(re.findall(r"^\| `([^`]+)` \| .+ \|$", page, flags=re.MULTILINE))
    there = {path.name for path in folder.iterdir() if path.is_file()} | {".hydra/", "checkpoints/last.ckpt"}
    assert listed == there
    commands = json.loads((folder / "warnings.json").read_text())["next"]
    assert len(commands) == 2
    for entry in commands:
        assert str(folder) in entry["command"]
        assert entry["command"] in page
        assert entry["command"] in printed
    assert "2 is node 0" in page


def test_the_first_command_that_comes_next_trains_the_cell(searched: tuple[Path, str], tmp_path: Path) -> None:
    first = json.loads((searched[0] / "warnings.json").read_text())["next"][0]["command"]
    arguments = shlex.split(first)[2:]
    small = ["train.epochs=1", "train.layers=3", "train.init_channels=2", "train.auxiliary_weight=0", "debug=true"]
    assert main([*arguments, *small, f"hydra.run.dir={tmp_path}"]) == 0
    assert read(tmp_path) == read(searched[0])


def test_a_cell_that_is_derived_later_is_trained_on_the_data_of_its_search(
    searched: tuple[Path, str], tmp_path: Path
) -> None:
    assert main(["task=derive", f"run={searched[0]}", "select=skip_limit", f"hydra.run.dir={tmp_path}"]) == 0
    (only,) = json.loads((tmp_path / "warnings.json").read_text())["next"]
    assert only["command"] == f"python run.py task=retrain genotype={tmp_path} data=digits train.cutout=4"


def test_alphas_have_names_of_edges_as_they_are_drawn_and_of_candidates(searched: tuple[Path, str]) -> None:
    with np.load(searched[0] / "alphas.npz") as saved:
        assert saved["normal"].shape == (2, 5, 3)
        assert saved["candidates.normal"].tolist() == [["none", "skip_connect", "max_pool_3x3"]] * 5
        assert saved["edges.normal"].tolist() == [
            *("c_{k-2} -> node 0", "c_{k-1} -> node 0"),
            *("c_{k-2} -> node 1", "c_{k-1} -> node 1", "node 0 -> node 1"),
        ]
    drawn = {node.name for node in cell_graph(read(searched[0]), "normal").nodes}
    assert {"c_{k-2}", "c_{k-1}", "0", "1"} <= drawn


def test_a_genotype_file_has_one_line_per_field(searched: tuple[Path, str]) -> None:
    lines = (searched[0] / "genotype.json").read_text().splitlines()
    assert len(lines) == 2 + len(json.loads("\n".join(lines)))


def test_a_run_that_was_stopped_says_how_to_continue_and_then_where_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*SEARCH, "search.epochs=2", f"hydra.run.dir={tmp_path / 'run'}"]
    save = LastCheckpoint.on_train_epoch_end

    def save_and_stop(self: LastCheckpoint, *arguments: Any) -> None:
        save(self, *arguments)
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_epoch_end", save_and_stop)
        with pytest.raises(Stopped):
            main(command)
    page = (tmp_path / "run" / "README.md").read_text()
    assert "The run was stopped. To go on, repeat the command with `resume=true`" in page
    capsys.readouterr()
    assert main([*command, "resume=true"]) == 0
    assert capsys.readouterr().out.startswith("search, resumed in epoch 2/2\n  data ")
    page = (tmp_path / "run" / "README.md").read_text()
    assert "was stopped" not in page
    assert "continued later with `resume=True`" in page


def test_a_page_of_the_users_stays_as_it_is(searched: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine\n")
    for more in ([], ["overwrite=true"]):
        assert main(["task=collect", f"runs={searched[0]}", f"hydra.run.dir={tmp_path}", *more]) == 0
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert (tmp_path / "summary.json").is_file()


def test_every_file_that_a_run_writes_is_explained() -> None:
    hidden = {".writing.last.ckpt"}
    names = {*contents.FILES, *contents.FOLDERS, *contents.PARTS, *contents.STAGES, contents.SAMPLES, contents.HYDRA}
    names |= {f"checkpoints/{name}" for name in {*contents.CHECKPOINTS} - hidden} | {contents.README}
    assert {name for name in names if help_of(name) is None} == set()
    assert help_of("random_3") is not None
    assert help_of("checkpoints/epoch_12.ckpt") is not None
    assert help_of("notes.txt") is None
    assert all("|" not in text for text in FILE_HELP.values())
