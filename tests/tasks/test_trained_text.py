"""A trained language model, found again: scored to the last digit, exported, or refused with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from darts_pl import interop
from darts_pl.cli import main
from darts_pl.spaces import LanguageModel
from darts_pl.tasks import zoo as zoo_task
from darts_pl.zoo import ZOO, published

NETWORK = ["task=retrain", "genotype=darts_v2_rnn", "train.units=6", "train.batch_size=8", "train.epochs=3"]
NETWORK += ["train.bptt=20", "data.test_batch_size=3"]

SummaryOf = Callable[..., dict[str, Any]]
Refused = Callable[..., str]


def write(path: Path, words: int) -> Path:
    draw = np.random.default_rng(0)
    lines = [" ".join(f"w{word}" for word in draw.integers(0, words, 7)) for _ in range(150)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return ["data=text", f"data.path={write(tmp_path_factory.mktemp('text') / 'own.txt', 20)}"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, own: list[str]) -> Path:
    """The folder of a finished training whose best weights are an average, not those of the last step."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darts_pl.modules.language.worse_than_before", lambda losses, loss, patience_epochs: True)
        assert main([*NETWORK, *own, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def score(run: Path) -> dict[str, Any]:
    summary = json.loads((run / "summary.json").read_text())
    return {name: summary[name] for name in ("test/perplexity", "test/loss", "unigram/perplexity", "parameters")}


def checkpoint_of(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


def test_a_trained_language_model_scores_the_same_again_to_the_last_digit(
    run: Path, score: dict[str, Any], tmp_path: Path, summary_of: SummaryOf
) -> None:
    summary = summary_of(tmp_path / "test", "task=test", f"run={run}")
    assert (summary["task"], summary["data"]) == ("test", "text")  # that of the run, not the default
    assert {name: summary[name] for name in score} == score
    assert "multiply_adds" not in summary


def test_what_is_scored_are_the_weights_of_the_best_validation(
    run: Path, own: list[str], score: dict[str, Any], tmp_path: Path, summary_of: SummaryOf
) -> None:
    checkpoint = torch.load(checkpoint_of(run), weights_only=True)
    best = checkpoint["language"]["best"]
    last = {name: value for name, value in checkpoint["state_dict"].items() if name.startswith("network.")}
    assert not all(torch.equal(best[name], last[f"network.{name}"]) for name in best)
    command = ["task=test", "genotype=darts_v2_rnn", *own, "train.bptt=20", "data.test_batch_size=3"]
    scores = {}
    for name, tensors in (("best", interop.export_recurrent(best)), ("last", {"state_dict": last})):
        torch.save(tensors, tmp_path / f"{name}.pt")
        scores[name] = summary_of(tmp_path / name, *command, f"checkpoint={tmp_path / name}.pt")
    scores["file"] = summary_of(tmp_path / "file", *command, f"checkpoint={checkpoint_of(run)}")
    assert {name: scores["best"][name] for name in score} == score  # under the authors' names
    assert {name: scores["file"][name] for name in score} == score
    assert scores["last"]["test/perplexity"] != score["test/perplexity"]


def test_single_keys_of_the_command_hold_beside_what_the_run_says(
    run: Path, score: dict[str, Any], tmp_path: Path, summary_of: SummaryOf
) -> None:
    summary = summary_of(tmp_path, "task=test", f"run={run}", "data=text", "data.test_batch_size=1")
    assert summary["test/perplexity"] != score["test/perplexity"]  # each of three columns starts from no context
    assert summary["test/perplexity"] == pytest.approx(score["test/perplexity"], rel=1e-2)


def test_a_finished_training_of_a_language_model_that_is_continued_keeps_its_score(
    run: Path, own: list[str], score: dict[str, Any], tmp_path: Path, summary_of: SummaryOf
) -> None:
    shutil.copytree(run, tmp_path / "run")
    summary = summary_of(tmp_path / "run", *NETWORK, *own, "resume=true")
    assert {name: summary[name] for name in score} == score


def test_a_file_that_does_not_belong_to_the_words_or_the_genotype_is_refused(
    run: Path, own: list[str], tmp_path: Path, refused: Refused
) -> None:
    other = write(tmp_path / "other.txt", 12)
    message = refused("task=test", f"run={run}", f"data.path={other}")
    assert "a network for 21 words, but data=text has 13" in message
    file = f"checkpoint={checkpoint_of(run)}"
    assert "missing 'cell.nodes.8'" in refused("task=test", file, "genotype=enas_rnn", *own)
    assert "recurrent genotype" in refused("task=test", file, "genotype=darts_v2_rnn", "data=digits")
    assert "no network for images" in refused("task=test", file, "genotype=darts_v2", "data=digits")
    torch.save({"stem.0.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "images.pt")
    images = f"checkpoint={tmp_path / 'images.pt'}"
    assert "no language model" in refused("task=test", images, "genotype=darts_v2_rnn", *own)
    state = torch.load(checkpoint_of(run), weights_only=True)["language"]["best"]
    torch.save(interop.export_recurrent(state) | {"decoder.weight": torch.zeros(21, 6)}, tmp_path / "untied.pt")
    untied = f"checkpoint={tmp_path / 'untied.pt'}"
    assert "share one matrix" in refused("task=test", untied, "genotype=darts_v2_rnn", *own)


def one_by_one(run: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Words [T, B], PyTorch's logits [T, B, V] and last hidden state [B, H] of the trained model."""
    network = LanguageModel(published("darts_v2_rnn"), vocabulary=21, units=6).eval()
    network.load_state_dict(torch.load(checkpoint_of(run), weights_only=True)["language"]["best"])
    words = torch.randint(21, (4, 5))
    with torch.no_grad():
        sequence = network(words)
    return words, sequence.logits, sequence.outputs[-1]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pt2", "onnx"])
def test_an_exported_language_model_reads_a_text_step_by_step(
    form: str, run: Path, tmp_path: Path, summary_of: SummaryOf, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime") if form == "onnx" else None
    summary = summary_of(tmp_path, "task=export", f"run={run}", f"format={form}")
    assert summary["largest_difference"] <= 1e-6
    assert (summary["input"], summary["input_shape"]) == ("words hidden", "batch batch,6")
    assert "input 'hidden': float32 [batch, 6]" in capsys.readouterr().out
    words, logits, last = one_by_one(run)
    if onnxruntime is None:
        step = torch.export.load(tmp_path / "network.pt2").module()
    else:
        session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])

        def step(words: torch.Tensor, hidden: torch.Tensor) -> list[torch.Tensor]:
            found = session.run(None, {"words": words.numpy(), "hidden": hidden.detach().numpy()})
            return [torch.from_numpy(part) for part in found]

    hidden = torch.zeros(5, 6)
    for given, expected in zip(words, logits, strict=True):
        found, hidden = step(given, hidden)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(hidden, last, rtol=0, atol=1e-6)


def test_the_zoo_tells_the_published_sizes_of_the_language_models(
    tmp_path: Path, summary_of: SummaryOf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo_task, "ZOO", {name: entry for name, entry in ZOO.items() if entry.genotype.kind == "rnn"})
    summary = summary_of(tmp_path, "task=zoo")
    sizes = {"darts_v1_rnn": 22_960_000, "darts_v2_rnn": 22_960_000, "enas_rnn": 27_295_000}
    assert {name: summary[f"{name}/ptb_parameters"] for name in sizes} == sizes
    shown = capsys.readouterr().out
    assert shown.count("22,960,000") == 4
    assert shown.count("27,295,000") == 1
