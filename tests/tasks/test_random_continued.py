"""A random search that was stopped or killed, and one with a larger budget, in the folder that it left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from darts_pl.cli import main
from darts_pl.interruption import interrupt
from darts_pl.modules import ClassifierModule
from darts_pl.tasks.evaluation.training import TrainEvaluator
from tests.tasks.random_search import RANDOM, ROOT, answers, digits, searched, trained

__all__ = ["digits", "searched"]  # fixtures


@pytest.mark.slow
def test_a_killed_run_continues_with_the_same_questions_and_scores(searched, tmp_path, digits):
    command = [sys.executable, str(ROOT / "run.py"), *RANDOM, f"data.path={digits}", f"hydra.run.dir={tmp_path}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 240
        while not (tmp_path / "samples" / "001" / "checkpoints" / "last.ckpt").is_file():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
    assert len(answers(tmp_path)) < 3
    assert subprocess.run([*command, "resume=true"], env=environment, capture_output=True, check=False).returncode == 0
    assert answers(tmp_path) == answers(searched)
    assert trained(tmp_path) == trained(searched)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["in the second training", "before its answer is recorded"])
def test_a_stopped_run_continues_with_the_same_questions_and_scores(searched, tmp_path, digits, monkeypatch, moment):
    command = (*RANDOM, f"data.path={digits}", f"hydra.run.dir={tmp_path}")
    step, ask, steps = ClassifierModule.training_step, TrainEvaluator.__call__, []

    def signalled(self, batch, index):
        steps.append(index)
        if len(steps) == 17:  # 10 steps each: the second epoch of the second training
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, index)

    def evaluated(self, question):
        found = ask(self, question)
        if question.number == 1:
            interrupt(signal.SIGTERM)
        return found

    with monkeypatch.context() as patch:
        if moment == "in the second training":
            patch.setattr(ClassifierModule, "training_step", signalled)
        else:
            patch.setattr(TrainEvaluator, "__call__", evaluated)
        assert main(command) == 143
    assert len(answers(tmp_path)) == 1
    assert (tmp_path / "samples" / "001" / "checkpoints" / "last.ckpt").is_file()
    assert main([*command, "resume=true"]) == 0
    assert answers(tmp_path) == answers(searched)
    assert trained(tmp_path) == trained(searched)
    assert (tmp_path / "genotype.json").read_bytes() == (searched / "genotype.json").read_bytes()
    summaries = [json.loads((one / "summary.json").read_text()) | {"seconds": 0} for one in (tmp_path, searched)]
    assert summaries[0] == summaries[1]


def test_a_finished_run_continues_with_a_larger_budget_and_trains_only_what_is_new(
    searched, tmp_path, digits, monkeypatch
):
    folder = Path(shutil.copytree(searched, tmp_path / "run"))
    asked, ask = [], TrainEvaluator.__call__
    monkeypatch.setattr(TrainEvaluator, "__call__", lambda self, one: asked.append(one.number) or ask(self, one))
    assert main([*RANDOM, f"data.path={digits}", f"resume={folder}", "budget.evaluations=4"]) == 0
    assert asked == [3]
    assert answers(folder)[:3] == answers(searched)


def test_a_run_is_not_continued_with_other_images(searched, tmp_path, digits, capsys):
    folder, other = Path(shutil.copytree(searched, tmp_path / "run")), tmp_path / "other.npz"
    with np.load(digits) as arrays:
        np.savez(other, **(dict(arrays) | {"x_train": arrays["x_train"][::-1]}))
    assert main([*RANDOM, f"data.path={other}", f"resume={folder}", "task.samples=4"]) == 2
    assert "not the data that the run" in capsys.readouterr().err
    assert answers(folder) == answers(searched)
