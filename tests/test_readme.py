"""The README's Python and its promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from darts_pl.genotype import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_notebook_lines_run_and_print_a_genotype(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(compile(blocks[0], "README.md", "exec"), {})
    genotype = parse(capsys.readouterr().out)
    assert {pair.operation for pair in genotype.cells["normal"].pairs} <= {
        "max_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
    }


def test_every_file_and_experiment_that_the_readme_names_is_there() -> None:
    for path in re.findall(r"`((?:conf|darts_pl|docs)/[\w./]+)`|\]\((docs/[\w./]+)\)", README):
        assert (ROOT / (path[0] or path[1])).exists(), path
    for experiment in re.findall(r"experiment=(\w+)", README):
        assert (ROOT / "conf" / "experiment" / f"{experiment}.yaml").is_file(), experiment
