"""Runs that version 0.1.0 wrote before the architecture parameters had a submodule of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from darts_pl.cli import main
from darts_pl.spaces import RnnSupernet, build_space

OLDER = Path(__file__).parents[1] / "goldens" / "runs_0_1_0"


def test_a_search_of_an_older_version_goes_on_to_the_alphas_that_it_would_have_reached_and_scores_as_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(OLDER / "search", tmp_path / "run")
    overrides = [
        line.removeprefix("- ") for line in (OLDER / "search/.hydra/overrides.yaml").read_text().splitlines() if line
    ]
    command = [*overrides, f"hydra.run.dir={tmp_path / 'run'}", "resume=true"]
    assert main([*command, "search.valid_statistics=batch"]) == 2
    assert "run with search.valid_statistics=stored, and not search.valid_statistics=batch" in capsys.readouterr().err
    assert main(command) == 0
    assert main(command) == 0  # a run that was continued once is continued in the same way
    stored = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert stored["settings"]["search.valid_statistics"] == "stored"
    with np.load(OLDER / "search/alphas_at_the_end.npz") as expected, np.load(tmp_path / "run/alphas.npz") as found:
        for cell_type in ("normal", "reduce"):
            assert found[cell_type].shape == expected[cell_type].shape
            # The last row was computed from the older checkpoint, on whatever processor this is. Today's operations
            # add up in another order, and second order divides a difference of float32 gradients by a small number: on
            # two processors the ends differ by up to 3e-5, a tenth of what one step may move an alpha.
            np.testing.assert_allclose(found[cell_type][:-1], expected[cell_type][:-1], rtol=0, atol=0)
            np.testing.assert_allclose(found[cell_type][-1], expected[cell_type][-1], rtol=1e-2, atol=5e-5)


def test_a_network_that_an_older_version_trained_is_scored_as_it_was_then(tmp_path: Path) -> None:
    folder = tmp_path / "scored"
    assert main(["task=test", f"run={OLDER / 'retrain'}", f"hydra.run.dir={folder}"]) == 0
    then, now = (json.loads((path / "summary.json").read_text()) for path in (OLDER / "retrain", folder))
    assert now["test/accuracy"] == then["test/accuracy"]
    assert now["test/loss"] == pytest.approx(then["test/loss"], rel=1e-5)


def test_the_alphas_of_an_older_recurrent_search_are_loaded_from_their_former_place() -> None:
    stored = torch.load(OLDER / "recurrent/last.ckpt", weights_only=True)["state_dict"]
    state = {name.removeprefix("supernet."): value for name, value in stored.items() if name.startswith("supernet.")}
    vocabulary, units = state["network.words.weight"].shape
    space = build_space("rnn", ["none", "tanh", "relu", "sigmoid", "identity"], 8)
    supernet = RnnSupernet(space, vocabulary=vocabulary, units=units)
    supernet.load_state_dict(state)
    assert torch.equal(supernet.alphas["recurrent"], stored["supernet.alphas.recurrent"])
    assert "arch.alphas.recurrent" in supernet.state_dict()
