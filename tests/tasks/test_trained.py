"""A trained network, found again: scored to the last digit, exported, or refused with the reason."""

import importlib.util
import itertools
import json
import os
import shutil

import numpy as np
import pytest
import torch

from darts_pl import interop
from darts_pl.cli import main
from darts_pl.tasks import zoo as zoo_task
from darts_pl.zoo import ZOO
from tests.tasks.conftest import finished

NETWORK = ["genotype=darts_v1", "data=digits", "train.layers=3", "train.init_channels=2", "train.epochs=1"]
NETWORK += ["train.batch_size=128", "train.cutout=0", "train.drop_path=0"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished training, with a tower, a weight average, and accumulated batches."""
    arguments = ("task=retrain", *NETWORK, "train.ema=0.5", "train.accumulate=2")
    return finished(tmp_path_factory.mktemp("trained") / "run", *arguments)


@pytest.fixture(scope="module")
def score(run):
    summary = json.loads((run / "summary.json").read_text())
    return {name: summary[name] for name in ("test/accuracy", "test/loss", "parameters", "multiply_adds")}


def tensors(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_a_trained_network_scores_the_same_again_to_the_last_digit(run, score, tmp_path, summary_of):
    summary = summary_of(tmp_path / "test", "task=test", f"run={run}")
    assert summary["data"] == "digits"  # that of the run, not the default
    assert {name: summary[name] for name in score} == score


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_a_network_is_scored_in_the_precision_that_it_was_trained_in(precision, tmp_path, summary_of):
    command = ["task=retrain", *NETWORK, "train.auxiliary_weight=0", f"hardware.precision={precision}"]
    trained = summary_of(tmp_path / "run", *command)
    scored = summary_of(tmp_path / "test", "task=test", f"run={tmp_path / 'run'}")
    other = summary_of(tmp_path / "other", "task=test", f"run={tmp_path / 'run'}", "hardware.precision=32-true")
    for name in ("test/accuracy", "test/loss"):
        assert scored[name] == trained[name]
    assert other["test/loss"] == pytest.approx(trained["test/loss"], rel=0.02)
    assert other["test/loss"] != trained["test/loss"]


def test_a_training_whose_last_batch_would_hold_one_image_goes_through_with_a_tower(tmp_path, summary_of):
    command = ["task=retrain", *NETWORK, "train.batch_size=131"]  # 1,442 images: eleven batches and one image
    summary = summary_of(tmp_path / "run", *command)
    assert np.isfinite(summary["test/loss"])
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 11


def test_a_training_inside_a_search_and_retrain_is_found(run, score, tmp_path, summary_of):
    shutil.copytree(run, tmp_path / "both" / "retrain")
    shutil.move(tmp_path / "both" / "retrain" / ".hydra", tmp_path / "both")
    summary = summary_of(tmp_path / "test", "task=test", f"run={tmp_path / 'both'}")
    assert {name: summary[name] for name in score} == score


@pytest.mark.parametrize("wrapped", ["ours", "authors'", "state_dict", "module."])
def test_a_bare_checkpoint_scores_the_same_under_our_names_and_the_authors(run, score, wrapped, tmp_path, summary_of):
    state = tensors(run)
    if wrapped != "ours":
        state = interop.export_network(interop.import_network(state))
        assert "cells.0._ops.0.op.1.weight" in state
    if wrapped == "state_dict":
        state = {"epoch": 1, "state_dict": state}
    if wrapped == "module.":
        state = {f"module.{name}": values for name, values in state.items()}
    torch.save(state, tmp_path / "file.pt")
    command = ["task=test", f"checkpoint={tmp_path / 'file.pt'}", "genotype=darts_v1", "data=digits"]
    summary = summary_of(tmp_path / "test", *command)
    assert {name: summary[name] for name in score} == score


def test_what_people_use_today_works_together(tmp_path, summary_of):
    options = ["hardware.precision=bf16-mixed", "train.ema=0.9", "train.accumulate=2", "train.label_smoothing=0.1"]
    options += ["train.schedule=exponential", "train.warmup_epochs=1", "train.auxiliary_weight=0.4", "debug=true"]
    options += ["train.epochs=5"]  # of which debug=true makes one
    summary = summary_of(tmp_path, "task=retrain", *NETWORK, *options)
    assert summary["epochs"] == 1
    assert np.isfinite(summary["retrain/train_loss"])
    assert np.isfinite(summary["test/loss"])


def test_a_finished_training_that_is_continued_keeps_its_score(run, score, tmp_path, summary_of):
    shutil.copytree(run, tmp_path / "run")
    command = ["task=retrain", *NETWORK, "train.ema=0.5", "train.accumulate=2", "resume=true"]
    summary = summary_of(tmp_path / "run", *command)
    assert {name: summary[name] for name in score} == score


def test_a_checkpoint_of_another_architecture_names_what_is_missing_unexpected_and_of_another_shape(
    run, tmp_path, refused
):
    checkpoint = run / "checkpoints" / "last.ckpt"
    message = refused("task=test", f"checkpoint={checkpoint}", "genotype=darts_v2", "data=digits")
    assert str(checkpoint) in message
    assert "missing 'cells.0._ops." in message
    assert "unexpected 'cells.0._ops." in message
    state = interop.import_network(tensors(run))
    state["cells.1.preprocess1.op.1.weight"] = torch.zeros(3, 3, 1, 1)
    torch.save(state, tmp_path / "file.pt")
    message = refused("task=test", f"checkpoint={tmp_path / 'file.pt'}", "genotype=darts_v1", "data=digits")
    assert "of another shape 'cells.1.preprocess1.op.1.weight' (1 in all)" in message


def test_a_network_for_other_classes_or_channels_is_refused(run, tmp_path, refused):
    for name, shape, classes in (("classes", (12, 8, 8, 1), 3), ("channels", (20, 8, 8, 3), 10)):
        images, labels = np.zeros(shape, np.uint8), np.arange(shape[0]) % classes
        np.savez(tmp_path / f"{name}.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
        message = refused("task=test", f"run={run}", "data=npz", f"data.path={tmp_path / name}.npz")
        assert f"a network for {10 if name == 'classes' else 1} {name}, but" in message


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_file_that_would_run_code_is_refused_with_the_reason_and_does_not_run_it(tmp_path, refused):
    torch.save({"state_dict": Bomb(tmp_path / "exploded")}, tmp_path / "bomb.pt")
    for task in ("test", "export"):
        message = refused(f"task={task}", f"checkpoint={tmp_path / 'bomb.pt'}", "genotype=darts_v1", "data=digits")
        assert "posix.system" in message
        assert "code" in message
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    message = refused("task=test", f"checkpoint={tmp_path / 'whole.pt'}", "genotype=darts_v1", "data=digits")
    assert "torch.nn.modules.linear.Linear" in message
    assert "state_dict" in message
    assert not (tmp_path / "exploded").exists()


def test_files_that_are_no_checkpoint_are_refused(run, tmp_path, refused):
    whole = (run / "checkpoints" / "last.ckpt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pt").write_text("no checkpoint")
    (tmp_path / "empty.pt").write_bytes(b"")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"weights": torch.ones(2)}, tmp_path / "other.pt")
    torch.save({"state_dict": {"a": 1}}, tmp_path / "plain.pt")
    for name in ("half", "text", "empty", "list", "other", "plain", "nowhere"):
        message = refused("task=test", f"checkpoint={tmp_path / name}.pt", "genotype=darts_v1", "data=digits")
        assert f"{name}.pt" in message


def test_commands_that_name_no_network_are_refused(tmp_path, refused):
    assert "run=FOLDER" in refused("task=test", "data=digits")
    assert "genotype=" in refused("task=test", "data=digits", f"checkpoint={tmp_path}/x.pt")
    assert "no such folder" in refused("task=test", f"run={tmp_path / 'nowhere'}")
    (tmp_path / "other").mkdir()
    assert "not the folder of a finished training" in refused("task=export", f"run={tmp_path / 'other'}")
    assert "format=tflite" in refused("task=export", f"run={tmp_path}", "format=tflite")


def test_a_command_that_would_write_into_the_run_that_it_reads_is_refused(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "run")
    refusals = {
        (): "holds a run; add resume=true to continue it, overwrite=true to replace it, or choose another",
        ("resume=true",): "must not be overwritten; choose another",
        ("overwrite=true",): "lies in the folder that overwrite=true replaces; choose another hydra.run.dir",
    }
    for task, (more, words) in itertools.product(("test", "export"), refusals.items()):
        places = [f"run={tmp_path / 'run'}", f"hydra.run.dir={tmp_path / 'run'}"]
        assert main([f"task={task}", *places, *more]) == 2
        assert words in capsys.readouterr().err
    for name in ("summary.json", "genotype.json", "checkpoints/last.ckpt"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.slow
def test_a_network_is_exported_by_torch_and_computes_what_it_did(run, tmp_path, summary_of, capsys):
    summary = summary_of(tmp_path / "export", "task=export", f"run={run}", "format=pt2")
    assert summary["largest_difference"] <= 1e-5
    assert summary["input_shape"] == "batch,1,8,8"
    shown = capsys.readouterr().out
    assert f"input {summary['input']!r}: float32 [batch, 1, 8, 8]" in shown
    assert "largest difference" in shown
    program = torch.export.load(tmp_path / "export" / "network.pt2").module()
    assert program(torch.zeros(7, 1, 8, 8)).shape == (7, 10)


@pytest.mark.slow
def test_a_network_is_exported_as_onnx_and_runs_there_with_batches_of_any_size(run, tmp_path, summary_of):
    onnxruntime = pytest.importorskip("onnxruntime")
    summary = summary_of(tmp_path / "export", "task=export", f"run={run}", "format=onnx")
    assert summary["largest_difference"] <= 1e-5
    assert {path.name for path in (tmp_path / "export").iterdir()} == {
        *(".hydra", "README.md", "network.onnx", "summary.json")
    }
    session = onnxruntime.InferenceSession(tmp_path / "export" / "network.onnx", providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).normal(size=(9, 1, 8, 8)).astype(np.float32)
    assert session.run(None, {summary["input"]: images})[0].shape == (9, 10)


def test_onnx_without_its_extra_is_refused_with_the_command_that_installs_it(run, refused, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    message = refused("task=export", f"run={run}", "format=onnx")
    assert "onnxruntime" in message
    assert "darts-pl[export]" in message


def test_the_zoo_is_printed_with_sources_and_sizes(tmp_path, summary_of, capsys, monkeypatch):
    entries = {name: entry for name, entry in ZOO.items() if name == "darts_v2" or entry.genotype.kind == "rnn"}
    monkeypatch.setattr(zoo_task, "ZOO", entries)
    summary = summary_of(tmp_path, "task=zoo")
    assert summary["darts_v2/cifar_parameters"] == 3_349_342
    assert summary["darts_v2/imagenet_parameters"] == 4_718_752
    assert summary["darts_v2/cifar_multiply_adds"] == 528_359_040
    shown = capsys.readouterr().out
    for text in ("darts_v2", "ICLR 2019", "3,349,342", "4,718,752", "528", "another convention"):
        assert text in shown
    assert max(map(len, shown.splitlines())) <= 100
    row = next(line.split() for line in shown.splitlines() if "4,718,752" in line)
    assert row == ["darts_v2", "4,718,752", "4.7", "M", "+0.4%", "530", "574", "-7.7%", "!"]
    assert summary["darts_v2/imagenet_multiply_adds_published"] == 574e6
