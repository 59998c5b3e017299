"""`hardware.compile` beside settings that it does not go with, and without a compiler."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from darts_pl.cli import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("order=second_exact",), "order=second_exact: compiled code is differentiated once"),
        (("order=neumann",), "order=neumann: compiled code is differentiated once"),
        (("order=first", "observers=curvature"), "the observer curvature, which differentiates twice"),
        (("search.recompute=true",), "search.recompute=true"),
        (("method=gdas",), "relaxation=gumbel: every step computes other candidates"),
        (("skip=dropout",), "skip=dropout: its rate changes with the epoch"),
        (("skip=auxiliary",), "skip=auxiliary: its weight changes with the epoch"),
        (("hardware=ddp_cpu",), "is for one process; use hardware.devices=1"),
        (("order=first", "hardware.precision=bf16-mixed"), "hardware.precision=bf16-mixed: use 32-true, 64-true"),
        (("time_budget=10m",), "time_budget=10m, which knows no compilation"),
    ],
)
def test_what_compiled_code_cannot_do_is_refused_in_one_line(given, reason, tmp_path, capsys):
    command = ["data=digits", "hardware=cpu", *given, "hardware.compile=true", f"hydra.run.dir={tmp_path / 'run'}"]
    assert main(command) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if reason in line]
    assert len(lines) == 1
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_without_a_compiler_a_run_is_refused_in_one_line(tmp_path, capsys):
    sizes = ("search.layers=3", "search.init_channels=2", "search.nodes=1", "search.candidates=[skip_connect,none]")
    command = ("data=digits", "hardware=cpu", "hardware.compile=true", "order=first", *sizes)
    from torch._inductor import config  # takes a second to import

    with config.patch({"cpp.cxx": (None, "no-such-compiler")}):
        assert main([*command, f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "error: hardware.compile=true: torch.compile needs a C++ compiler, such as g++, in PATH or named"
    )
    assert not list((tmp_path / "run").glob("*.ckpt"))


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [{"CXX": "no-such-compiler"}, {"PATH": ""}])
def test_a_compiler_that_the_environment_hides_is_missed(hidden, tmp_path):
    command = ["data=digits", "hardware=cpu", "hardware.compile=true", "order=first", f"hydra.run.dir={tmp_path}/run"]
    found = subprocess.run(
        [sys.executable, "run.py", *command], cwd=ROOT, env=os.environ | hidden, capture_output=True, text=True
    )
    assert found.returncode == 2
    assert found.stderr.startswith("error: hardware.compile=true: torch.compile needs a C++ compiler")
    assert len(found.stderr.splitlines()) == 1
