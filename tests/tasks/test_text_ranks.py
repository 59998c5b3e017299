"""The training of a language model by several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]

#: Averages from the first epoch on; makes the loss of the fourth training step NaN, on the last process only.
SPOIL = """
import torch
from torch import distributed
from darts_pl.modules import language

steps, loss = iter(range(1000)), language.word_loss

def spoiled(logits, targets):
    last = not distributed.is_initialized() or distributed.get_rank() == distributed.get_world_size() - 1
    bad = torch.is_grad_enabled() and next(steps) == 3 and last
    return loss(logits, targets) * (float("nan") if bad else 1.0)

language.word_loss = spoiled
language.worse_than_before = lambda *_: True
"""


def trained(folder: Path, *arguments: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Summary and checkpoint of a command in processes of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "run.py"), *arguments, f"hydra.run.dir={folder}"]
    done = subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return json.loads((folder / "summary.json").read_text()), checkpoint


@pytest.mark.slow
def test_two_processes_learn_what_one_with_twice_the_batch_does_also_after_a_loss_that_only_one_saw_break(
    tmp_path: Path,
) -> None:
    draw = np.random.default_rng(0)
    lines = [" ".join(f"w{word}" for word in draw.integers(0, 20, 7)) for _ in range(200)]
    (tmp_path / "own.txt").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "spoil.py").write_text(SPOIL)
    names = ("dropout", "dropout_hidden", "dropout_input", "dropout_embedding", "dropout_word")
    dropouts = [f"train.{name}=0" for name in names]
    command = ["task=retrain", "genotype=darts_v2_rnn", "data=text", "data.path=own.txt", "imports=[spoil]", *dropouts]
    command += ["train.units=6", "train.epochs=4", "hardware.precision=64-true"]
    one = ["train.batch_size=8", "data.eval_batch_size=6", "data.test_batch_size=2", "hardware.accelerator=cpu"]
    two = ["train.batch_size=4", "data.eval_batch_size=3", "data.test_batch_size=1", "hardware.accelerator=cpu"]
    two += ["hardware.devices=2", "hardware.strategy=ddp"]
    (alone, expected), (together, found) = (
        trained(tmp_path / name, *command, *sizes) for name, sizes in (("one", one), ("two", two))
    )
    assert alone["retrain/rollbacks"] == together["retrain/rollbacks"] == 1
    for name, value in alone.items():
        if "/" in name:
            expects = value if isinstance(value, str) else pytest.approx(value, rel=1e-12)
            assert together[name] == expects, name
    assert found["language"]["losses"] == pytest.approx(expected["language"]["losses"], rel=1e-12)
    assert any(name.startswith("averaged.") for name in expected["state_dict"])
    assert found["state_dict"].keys() == expected["state_dict"].keys()
    for name, value in expected["state_dict"].items():
        torch.testing.assert_close(found["state_dict"][name], value, rtol=0, atol=1e-12)
