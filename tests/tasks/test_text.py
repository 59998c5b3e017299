"""Whole recurrent searches and trainings of language models from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from darts_pl.callbacks import LastCheckpoint
from darts_pl.cli import main

SEARCH = ["search=rnn", "search.units=6", "search.nodes=2", "search.batch_size=8", "search.epochs=2"]
RETRAIN = ["task=retrain", "genotype=darts_v2_rnn", "train.units=6", "train.batch_size=8", "train.epochs=2"]


class Stopped(BaseException):
    """Stands for a kill: nothing of ours handles it."""


def write(path: Path, lines: int = 150, test: str = "w1 w2 w3") -> Path:
    """A text whose last tenth of lines, the test part, is repeated `test`."""
    draw = np.random.default_rng(0)
    rows = [" ".join(f"w{word}" for word in draw.integers(0, 20, 7)) for _ in range(lines * 9 // 10)]
    path.write_text("\n".join(rows + [test] * (lines - len(rows))) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    return ["data=text", f"data.path={write(tmp_path / 'own.txt')}"]


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a command that must succeed; returns its summary without times."""
    assert main([*arguments, f"hydra.run.dir={folder}"]) == 0
    summary = json.loads((folder / "summary.json").read_text())
    summary.pop("seconds")
    return summary


def alphas(folder: Path) -> np.ndarray:
    with np.load(folder / "alphas.npz") as saved:
        return saved["recurrent"]


def state(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def stopped_after_first_epoch(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> None:
    save = LastCheckpoint.on_train_epoch_end

    def save_and_stop(self: LastCheckpoint, *given: Any) -> None:
        save(self, *given)
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_epoch_end", save_and_stop)
        with pytest.raises(Stopped):
            main([*arguments, f"hydra.run.dir={folder}"])


def test_a_recurrent_search_leaves_what_every_search_leaves(
    own: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = run(tmp_path / "run", *SEARCH, *own)
    assert {"search/valid_loss", "search/valid_perplexity", "search/entropy_recurrent"} <= set(summary)
    assert "search/skip_connections" not in summary
    assert alphas(tmp_path / "run").shape == (3, 3, 5)
    for name in ("genotype.json", "cells.png", "cells.svg", "metrics.csv", "genotypes.jsonl"):
        assert (tmp_path / "run" / name).is_file(), name
    assert "Genotype(recurrent=" in capsys.readouterr().out
    scores = run(tmp_path / "final", *RETRAIN, *own, f"genotype={tmp_path / 'run'}")
    assert scores["genotype"] == summary["genotype"]


def test_one_seed_gives_equal_alphas_and_another_different_ones(own: list[str], tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        run(tmp_path / name, *SEARCH, *own, f"seed={seed}")
    assert np.array_equal(alphas(tmp_path / "one"), alphas(tmp_path / "again"))
    assert not np.array_equal(alphas(tmp_path / "one"), alphas(tmp_path / "other"))


def test_a_search_with_dropout_continued_after_a_stop_ends_as_one_never_stopped(
    own: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole", *SEARCH, *own)
    stopped_after_first_epoch(monkeypatch, tmp_path / "parts", *SEARCH, *own)
    assert run(tmp_path / "parts", *SEARCH, *own, "resume=true") == whole
    assert np.array_equal(alphas(tmp_path / "whole"), alphas(tmp_path / "parts"))
    states = [state(tmp_path / name) for name in ("whole", "parts")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_language_model_continued_after_a_stop_ends_as_one_never_stopped(
    own: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*RETRAIN, *own, "train.patience_epochs=1", "train.epochs=4"]
    whole = run(tmp_path / "whole", *command)
    stopped_after_first_epoch(monkeypatch, tmp_path / "parts", *command)
    assert run(tmp_path / "parts", *command, "resume=true") == whole
    states = [state(tmp_path / name) for name in ("whole", "parts")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_an_averaged_training_is_continued_with_its_average(
    own: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darts_pl.modules.language.worse_than_before", lambda losses, loss, patience_epochs: True)
    whole = run(tmp_path / "whole", *RETRAIN, *own)
    stopped_after_first_epoch(monkeypatch, tmp_path / "parts", *RETRAIN, *own)
    assert run(tmp_path / "parts", *RETRAIN, *own, "resume=true") == whole
    assert whole["retrain/averaging"] == 1
    assert any(name.startswith("averaged.") for name in state(tmp_path / "parts"))


def test_a_language_model_is_summed_up_beside_the_word_frequencies(own: list[str], tmp_path: Path) -> None:
    summary = run(tmp_path / "run", *RETRAIN, *own)
    assert {"test/perplexity", "unigram/perplexity", "retrain/valid_perplexity", "parameters"} <= set(summary)
    words = 21  # w0 to w19 and <eos>
    assert summary["parameters"] == words * 6 + words + 12 * 12 + 8 * 6 * 12
    assert summary["test/perplexity"] == pytest.approx(np.exp(summary["test/loss"]), rel=1e-5)


def test_a_search_does_not_depend_on_the_test_text(tmp_path: Path) -> None:
    for name, test in (("a", "w1 w2 w3"), ("b", "w9 w8")):
        path = write(tmp_path / f"{name}.txt", test=test)
        run(tmp_path / name, *SEARCH, "search.epochs=1", "order=first", "data=text", f"data.path={path}")
    assert np.array_equal(alphas(tmp_path / "a"), alphas(tmp_path / "b"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*RETRAIN, "genotype=darts_v2", "data=pydocs"], ["convolutional", "darts_v2_rnn"]),
        (["task=retrain", "genotype=darts_v2_rnn", "data=digits"], ["recurrent", "data=digits", "ptb"]),
        ([*SEARCH, "data=digits"], ["search.space=rnn", "data=digits"]),
        (["search=cnn", "data=pydocs"], ["search.space=cnn", "search=rnn"]),
        (["task=retrain", "genotype=darts_v2_rnn", "data=pydocs", "train=darts"], ["train=darts_rnn"]),
        ([*SEARCH, "data=ptb"], ["data.path=FOLDER", "ptb.train.txt"]),
        ([*SEARCH, "data=wikitext2", "data.path=/nowhere"], ["wiki.train.tokens", "/nowhere"]),
        ([*SEARCH, "data=text", "data.path=/nowhere.txt"], ["/nowhere.txt"]),
        ([*SEARCH, "data=pydocs", "search.batch_size=50000"], ["smaller search.batch_size"]),
        ([*SEARCH, "data=pydocs", "data.batch_size=50000"], ["smaller data.batch_size"]),
        ([*RETRAIN, "data=pydocs", "train.batch_size=500000"], ["smaller train.batch_size"]),
        ([*SEARCH, "data=pydocs", "search.batch_size=1"], ["search.batch_size=1"]),
        ([*SEARCH, "data=pydocs", "search.candidates=[none,swish]"], ["swish", "tanh"]),
        ([*SEARCH, "data=pydocs", "search.dropout_hidden=1"], ["search.dropout_hidden=1"]),
        ([*SEARCH, "search.layers=3"], ["search.layers"]),
        ([*RETRAIN, "data=pydocs", "train.bptt=0"], ["train.bptt=0"]),
    ],
)
def test_an_invalid_command_ends_with_status_2_and_says_how_to_fix_it(
    arguments: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, f"hydra.run.dir={tmp_path}"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert len(message.strip().splitlines()) <= 3
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", ["empty"]), (b"caf\xe9\n" * 20, ["not UTF-8"]), (b"a b\n" * 12, ["words", "batch_size=10"])],
)
def test_a_text_that_cannot_be_used_ends_with_status_2(
    content: bytes, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.txt").write_bytes(content)
    assert main([*SEARCH, "data=text", f"data.path={tmp_path / 'own.txt'}", f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    message = capsys.readouterr().err
    assert all(word in message for word in words), message


@pytest.mark.slow
def test_a_shorter_quickstart_finds_a_cell_that_predicts_better_than_word_frequencies(tmp_path: Path) -> None:
    shorter = ("data.fraction=0.25", "train.epochs=5", "task.compare_random=0")
    summary = run(tmp_path, "experiment=quickstart_rnn", *shorter)
    assert summary["test/perplexity"] < 0.9 * summary["unigram/perplexity"]
    assert summary["search/entropy_recurrent"] < np.log(5) - 0.03  # at the start it is log(5) within 1e-6


@pytest.mark.slow
@pytest.mark.real_data("ptb")
def test_on_penn_treebank_the_perplexity_of_a_small_search_falls(tmp_path: Path, real_data: Path) -> None:
    small = ["task=search", "order=first", "data.fraction=0.02", "data.eval_batch_size=50", "search.epochs=2"]
    run(tmp_path, "experiment=ptb_small", *small, f"data.path={real_data}")
    header, *rows = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    assert len(rows) == 2
    training = [float(row[header.index("search/train_perplexity")]) for row in rows]
    valid = [float(row[header.index("search/valid_perplexity")]) for row in rows]
    assert training == sorted(training, reverse=True)
    assert valid[1] < 0.9 * valid[0]
