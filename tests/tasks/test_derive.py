"""task=derive: other rules on a finished search."""

import hashlib
import html
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from darts_pl.cli import main
from darts_pl.genotype import parse
from darts_pl.report.page import read_run_files
from darts_pl.selection import Trials
from darts_pl.tasks.execution.reporting import report_of
from tests.tasks.conftest import finished
from tests.tasks.test_text import write

ROOT = Path(__file__).parents[2]
SEARCH = (
    *("data=digits", "order=first", "search.epochs=1", "search.layers=3", "search.init_channels=2", "search.nodes=2"),
    *(
        "search.batch_size=256",
        "search.candidates=[none,skip_connect,sep_conv_3x3]",
        "hardware=cpu",
        "hardware.threads=1",
    ),
)
PERTURBATION = ("select=perturbation", "select.tune_epochs=1", "select.criterion=loss", "select.fraction=0.3")


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("derive") / "search", *SEARCH)


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def decisions(folder):
    found = json.loads((folder / "selection.json").read_text())
    return {name: value for name, value in found.items() if name != "settings"}


def test_a_rule_decides_on_a_finished_search_as_at_the_end_of_it_and_leaves_its_folder_alone(
    searched, tmp_path, summary_of
):
    before = contents(searched)
    derived = summary_of(tmp_path / "derived", "task=derive", f"run={searched}", *PERTURBATION)
    assert contents(searched) == before
    at_the_end = summary_of(tmp_path / "search", *SEARCH, *PERTURBATION)
    assert derived["genotype"] == at_the_end["genotype"]
    assert decisions(tmp_path / "derived") == decisions(tmp_path / "search")
    assert len(decisions(tmp_path / "derived")) == 2 * (5 + 1)
    assert (tmp_path / "derived" / "genotype.json").read_text() == (tmp_path / "search" / "genotype.json").read_text()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_finished_search_is_read_with_the_threads_of_the_command(searched, tmp_path, summary_of, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(3 - threads)
    try:
        command = ("task=derive", f"run={searched}", "hardware=cpu", f"hardware.threads={threads}")
        summary_of(tmp_path / "derived", *command)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without a GPU is what is tested")
def test_hardware_that_the_command_names_replaces_that_of_the_search(searched, tmp_path, summary_of, refused):
    for override in ("hardware=gpu", "hardware.accelerator=gpu"):
        assert "no CUDA device is visible" in refused("task=derive", f"run={searched}", override)
    exact = finished(tmp_path / "exact", *SEARCH, "hardware.precision=64-true")
    summary_of(tmp_path / "derived", "task=derive", f"run={exact}", "hardware=cpu", *PERTURBATION)
    edges = [decision["removed"] for name, decision in decisions(tmp_path / "derived").items() if "edge" in name]
    losses = [tried["loss"] for removed in edges for tried in removed.values()]
    assert all(loss != float(np.float32(loss)) for loss in losses)  # the precision stays that of the search


def test_magnitude_derives_what_the_search_has_derived(searched, tmp_path, summary_of):
    summary = summary_of(tmp_path / "derived", "task=derive", f"run={searched}")
    assert summary["genotype"] == json.loads((searched / "summary.json").read_text())["genotype"]
    assert decisions(tmp_path / "derived") == {}


def test_without_a_rule_the_one_of_the_search_decides_with_its_settings(tmp_path, summary_of, refused):
    rule = ("select=shared_weights", "select.samples=3", "select.criterion=loss")
    run = finished(tmp_path / "search", *SEARCH, *rule)
    summary = summary_of(tmp_path / "derived", "task=derive", f"run={run}")
    assert summary["select"] == "shared_weights"
    assert decisions(tmp_path / "derived") == decisions(run)
    fewer = summary_of(tmp_path / "fewer", "task=derive", f"run={run}", "select.samples=2")
    ranking = decisions(tmp_path / "fewer")["ranking"]["genotypes"]
    assert len(ranking) == 2
    losses = [row["loss"] for row in ranking]
    assert losses == sorted(losses)  # still by the loss
    assert fewer["genotype"] == ranking[0]["genotype"]
    given = summary_of(tmp_path / "given", "task=derive", f"run={run}", "select=magnitude")
    assert (given["select"], decisions(tmp_path / "given")) == ("magnitude", {})


def test_a_search_on_text_is_tuned_as_at_its_end_through_epochs_of_different_lengths(tmp_path, summary_of):
    text = ("search=rnn", "data=text", f"data.path={write(tmp_path / 'own.txt')}", "search.units=6", "search.nodes=2")
    text += ("search.batch_size=8", "search.bptt=4", "search.epochs=1", "order=first")
    run = finished(tmp_path / "search", *text)
    suggested = json.loads((run / "warnings.json").read_text())["next"][-1]["command"]
    assert html.escape(suggested) in (run / "report.html").read_text()
    _, _, task, searched, *rule = shlex.split(suggested)
    assert (task, searched) == ("task=derive", f"run={run}")
    derived = summary_of(tmp_path / "derived", task, searched, *rule, "select.tune_epochs=2")
    at_the_end = summary_of(tmp_path / "at_the_end", *text, *rule, "select.tune_epochs=2")
    assert derived["genotype"] == at_the_end["genotype"]
    assert decisions(tmp_path / "derived") == decisions(tmp_path / "at_the_end")
    assert len(decisions(tmp_path / "derived")) == 3 + 1


def test_a_derived_network_keeps_the_limits_at_the_size_that_is_trained(searched, tmp_path, summary_of, refused):
    size = ("train.layers=3", "train.init_channels=4", "train.auxiliary_weight=0")
    command = ("task=derive", f"run={searched}", "select=magnitude_within", *size)
    message = refused(*command, "select.max_parameters=1")
    least = int(message.split()[-1])
    summary_of(tmp_path / "derived", *command, f"select.max_parameters={least}")
    recorded = decisions(tmp_path / "derived")["limits"]
    assert recorded["parameters"] == least
    assert {pair.operation for pair in parse(recorded["genotype"]).cells["normal"].pairs} == {"skip_connect"}
    trained = summary_of(
        *(tmp_path / "retrain", "task=retrain", "data=digits", f"genotype={tmp_path / 'derived'}", *size),
        *("train.epochs=1", "train.cutout=0", "train.batch_size=256", "hardware=cpu", "hardware.threads=1"),
    )
    assert trained["parameters"] == recorded["parameters"]
    assert trained["multiply_adds"] == recorded["multiply_adds"]


def test_shared_weights_rank_on_a_finished_search_and_a_repeated_command_scores_nothing(searched, tmp_path, summary_of):
    command = ("task=derive", f"run={searched}", "select=shared_weights", "select.samples=5")
    summary = summary_of(tmp_path / "derived", *command)
    first = contents(tmp_path / "derived")["selection.json"]
    ranking = decisions(tmp_path / "derived")["ranking"]["genotypes"]
    assert [row["accuracy"] for row in ranking] == sorted((row["accuracy"] for row in ranking), reverse=True)
    assert ranking[0]["genotype"] == summary["genotype"]
    assert summary_of(tmp_path / "derived", *command, "resume=true")["genotype"] == summary["genotype"]
    assert contents(tmp_path / "derived")["selection.json"] == first


def test_an_interrupted_derivation_says_where_its_decisions_are_and_how_to_go_on(
    searched, tmp_path, summary_of, monkeypatch, capsys
):
    command = ("task=derive", f"run={searched}", "select=shared_weights", "select.samples=4")
    score = Trials.score

    def interrupted(self, *arguments):
        if len(self.journal) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return score(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trials, "score", interrupted)
        assert main([*command, f"hydra.run.dir={tmp_path / 'parts'}"]) == 130
    said = capsys.readouterr().err
    assert f"the decisions so far are in {tmp_path / 'parts' / 'selection.json'}" in said
    assert "to continue, repeat the command with resume=true" in said
    assert json.loads((tmp_path / "parts" / "run.json").read_text())["state"] == "interrupted"
    continued = [command for what, command in report_of(read_run_files(tmp_path / "parts")).next_commands]
    assert continued == [f"python run.py {' '.join(command)} resume={tmp_path / 'parts'}"]
    summary_of(tmp_path / "parts", *command, "resume=true")
    summary_of(tmp_path / "whole", *command)
    assert decisions(tmp_path / "parts") == decisions(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("rule", [PERTURBATION, ("select=shared_weights", "select.samples=8")])
def test_a_killed_derivation_ends_with_the_decisions_and_scores_of_one_that_was_never_stopped(
    searched, tmp_path, summary_of, rule
):
    command = ("task=derive", f"run={searched}", *rule, "hardware=cpu", "hardware.threads=1")
    whole = summary_of(tmp_path / "whole", *command)
    parts = tmp_path / "parts"
    program = [sys.executable, str(ROOT / "run.py"), *command, f"hydra.run.dir={parts}"]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 240
        while not (parts / "selection.json").is_file() or len(decisions(parts)) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert not (parts / "genotype.json").exists()
    resumed = summary_of(parts, *command, "resume=true")
    for key in ("genotype", "steps", "images"):
        assert resumed[key] == whole[key]
    assert decisions(parts) == decisions(tmp_path / "whole")


def test_what_cannot_be_derived_is_refused_in_one_line(searched, tmp_path, refused):
    run = f"run={searched}"
    for arguments, words in (
        ((), "run is missing; give run=FOLDER"),
        (("run=no_such_folder",), "there is no such folder"),
        ((run, "select=perturb"), "perturb"),
        ((run, "select=shared_weights", "select.samples=0"), "select.samples=0: must be at least 1"),
        ((run, "select=magnitude_within", "select.max_parameters=0"), "select.max_parameters=0: must be at least 1"),
        ((run, "select=magnitude_within"), "give select.max_parameters or select.max_multiply_adds"),
        ((run, "select=skip_limit", "select.max_skips=-1"), "select.max_skips=-1: must be at least 0"),
        ((run, "select=perturbation", "select.fraction=0"), "select.fraction=0"),
        ((run, "select.samples=5"), "not a key of select=magnitude; it belongs to select=shared_weights: choose it"),
        ((run, "search=nasbench201"), "a search with search.space=cnn, and not nasbench201"),
    ):
        message = refused("task=derive", *arguments)
        assert words in message, message
    (tmp_path / "empty").mkdir()
    assert "not the folder of a search" in refused("task=derive", f"run={tmp_path / 'empty'}")


def test_a_search_that_is_not_finished_is_refused(searched, tmp_path, refused):
    for name in (".hydra/config.yaml", "checkpoints/last.ckpt", "alphas.npz", "data.json"):
        (tmp_path / "part" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "part" / name).write_bytes((searched / name).read_bytes())
    assert "the search is not finished" in refused("task=derive", f"run={tmp_path / 'part'}")


def test_a_rule_that_a_space_does_not_have_is_refused_before_the_search(refused):
    text = ("search=rnn", "data=pydocs", "train=darts_rnn")
    assert "a search on text has no accuracy" in refused(*text, "select=perturbation")
    assert "has no skip connections; use select=magnitude" in refused(*text, "select=skip_limit")
    limits = ("select=magnitude_within", "select.max_multiply_adds=5")
    assert "nobody counts multiply-adds on text" in refused(*text, *limits)


@pytest.mark.slow
def test_a_limit_that_no_cell_keeps_is_refused_before_the_search_and_one_that_is_kept_changes_nothing_of_it(
    searched, tmp_path, refused
):
    rule = (*SEARCH, "select=magnitude_within")
    message = refused(*rule, "select.max_parameters=30")
    assert "select.max_parameters=30: the smallest final network of this search has" in message
    assert not list((tmp_path / "refused").rglob("*.ckpt"))
    least = re.search(r"give at least (\d+)", message)[1]
    assert "the smallest final network" in refused(*rule, f"select.max_parameters={int(least) - 1}")
    found = finished(tmp_path / "found", *rule, f"select.max_parameters={least}")
    assert json.loads((found / "selection.json").read_text())["limits"]["parameters"] == int(least)
    with np.load(found / "alphas.npz") as ours, np.load(searched / "alphas.npz") as theirs:
        assert ours.files == theirs.files
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours.files)
